import { holdsNul } from './storable.ts'

/** Where a sign-in may lead back to: a path of ours, never another site (RFC 9700 §4.11). */
export function safePath(target: string | undefined, otherwise: string): string {
  // Backslashes and control characters are read by some browsers as a second slash or not at all.
  if (!target?.startsWith('/') || target.length > 4096 || /[\\\p{Cc}]/u.test(target))
    return otherwise
  const base = 'http://self.invalid'
  if (!URL.canParse(target, base)) return otherwise
  const { origin, pathname, search } = new URL(target, base)
  const path = pathname + search
  return origin === base && !path.startsWith('//') && !holdsNul(path) ? path : otherwise
}
