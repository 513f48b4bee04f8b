/**
 * The embedded database holds password hashes and sealed keys, and PGlite unpacks it into files that everybody may read
 * and write, whatever the umask. So the data directory and all below it are made the owner's alone, at each start.
 */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  type Stats,
} from 'node:fs'
import { join } from 'node:path'

const forOthers = 0o077

/**
 * Takes every permission of group and others away, or throws a sentence for the operator. Windows has no such modes: there
 * the permissions that the directory inherits decide.
 */
export function protectDirectory(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const uid = process.getuid?.()
  if (uid === undefined) return
  // Either may be a link to another disk.
  for (const place of [dataDir, join(dataDir, 'pgdata')])
    if (existsSync(place)) makePrivate(realpathSync(place), uid)
}

function makePrivate(path: string, uid: number) {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found) return
  if (found.isSymbolicLink()) return refuseForeign(path, found, uid)
  if (found.uid !== uid || (found.mode & forOthers) !== 0) takeFromOthers(path, found, uid)
  if (found.isDirectory()) for (const name of readdirSync(path)) makePrivate(join(path, name), uid)
}

function takeFromOthers(path: string, found: Stats, uid: number) {
  refuseForeign(path, found, uid)
  const mode = found.mode & 0o7777 & ~forOthers
  chmodSync(path, mode)
  // Some file systems (a share of Windows, a mounted FAT) agree and change nothing.
  if ((lstatSync(path).mode & forOthers) !== 0)
    throw new Error(
      `${path} can be read or changed by others on this machine, and its file system does not support permissions. Set DATA_DIR to a directory on another one.`,
    )
}

function refuseForeign(path: string, found: Stats, uid: number) {
  if (found.uid !== uid)
    throw new Error(
      `${path} belongs to another user of this machine (${found.uid}), who could read and change the database. Give it to the user that runs AuthGate (chown -R ${uid}), or set DATA_DIR to another directory.`,
    )
}
