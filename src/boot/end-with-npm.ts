/**
 * npm passes a signal to the shell that it has started, and the shell dies of it without a word to us: so whoever stops npm
 * would leave us behind. A process of an npm script therefore looks whether what stands between it and npm is still there.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const everyMs = 500
/** node --watch and a shell. */
const maxBetween = 4

/** Ends this process by SIGTERM, and whatever stands between, once npm or one of those has ended. */
export function endWithNpm({ npm_lifecycle_event: script }: NodeJS.ProcessEnv): void {
  if (process.platform === 'win32' || script === undefined) return
  const parent = process.ppid
  const ancestors = ancestorsUpToNpm(parent)
  const timer = setInterval(() => {
    if (process.ppid === parent && ancestors.every(isAlive)) return
    clearInterval(timer)
    // The last one is npm itself, which is not ours to end.
    for (const pid of [...ancestors.slice(0, -1), process.pid]) terminate(pid)
  }, everyMs)
  timer.unref()
}

/** From the parent upwards; the parent alone where npm cannot be found, as when the script was started in another way. */
function ancestorsUpToNpm(parent: number): number[] {
  const pids: number[] = []
  for (let pid = parent; pid > 1 && pids.length < maxBetween; ) {
    const found = describeProcess(pid)
    if (!found) break
    pids.push(pid)
    if (/(^|[/\s])(npm|npx)(-cli\.js)?(\s|$)/.test(found.command)) return pids
    pid = found.parent
  }
  return [parent]
}

function describeProcess(pid: number): { parent: number; command: string } | undefined {
  try {
    const text =
      process.platform === 'linux'
        ? fromProc(pid)
        : execFileSync('ps', ['-o', 'ppid=,command=', '-p', String(pid)], { encoding: 'utf8' })
    const [, parent, command = ''] = /^\s*(\d+)\s+(.*)$/s.exec(text) ?? []
    return parent === undefined ? undefined : { parent: Number(parent), command }
  } catch {
    return undefined
  }
}

/** As ps says it; the name of the program in `stat` may hold spaces and parentheses. */
function fromProc(pid: number): string {
  const [, parent] = /\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
  return `${parent} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function terminate(pid: number) {
  try {
    process.kill(pid, 'SIGTERM')
  } catch {
    // It has ended already.
  }
}
