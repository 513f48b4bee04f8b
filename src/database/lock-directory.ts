/**
 * One server per embedded data directory. PGlite does not lock its files, and two writers would destroy them.
 * The lock names the process and the moment it started, so that a lock left by a killed process (or by another
 * one that had the same number before a reboot) is recognised as stale.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Takes the lock or throws a sentence for the operator. Returns the release. */
export function lockDirectory(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const lock = join(dataDir, 'authgate.lock')
  const own = `${process.pid} ${startOf(process.pid)} ${crypto.randomUUID()}\n`
  const draft = `${lock}.${process.pid}`
  writeFileSync(draft, own, { mode: 0o600 })
  try {
    if (!tryLink(draft, lock)) takeOver(draft, lock, dataDir)
  } finally {
    rmSync(draft, { force: true })
  }
  return () => {
    if (readOr(lock, '') === own) rmSync(lock, { force: true })
  }
}

function takeOver(draft: string, lock: string, dataDir: string) {
  const holder = readOr(lock, '')
  const pid = Number.parseInt(holder, 10)
  if (isRunning(pid, holder.split(' ')[1])) {
    throw new Error(
      `${dataDir} is in use by another AuthGate (process ${pid}). Stop it, or set DATA_DIR to another directory.`,
    )
  }
  // Only one of several starters can rename the stale lock away; the others then meet the winner's.
  const stale = `${lock}.stale.${process.pid}`
  try {
    renameSync(lock, stale)
    rmSync(stale, { force: true })
  } catch {}
  if (!tryLink(draft, lock)) {
    throw new Error(`${dataDir} was taken by another AuthGate that started at the same moment.`)
  }
}

/** `link` fails when the name exists: an atomic create with content. */
function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

function isRunning(pid: number, startedAt: string | undefined): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
  return startOf(pid) === startedAt
}

/** When the process started, in the kernel's ticks since boot plus the boot's id; `-` where /proc does not tell. */
function startOf(pid: number): string {
  const stat = readOr(`/proc/${pid}/stat`, '')
  const boot = readOr('/proc/sys/kernel/random/boot_id', '').trim()
  // Field 22, counted after the command name, which may itself contain spaces and parentheses.
  const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  return ticks ? `${boot}:${ticks}` : '-'
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise
  }
}
