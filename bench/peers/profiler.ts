/** Profiles another Node.js process through its inspector, for exactly as long as something lasts. */
import { writeFileSync } from 'node:fs'

/** Of a process started with `--inspect=127.0.0.1:port`; the profile goes into `file`. */
export async function profiled<T>(port: number, file: string, run: () => Promise<T>): Promise<T> {
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as [
    { webSocketDebuggerUrl: string },
  ]
  const socket = new WebSocket(target.webSocketDebuggerUrl)
  await new Promise((resolve, reject) => {
    socket.onopen = resolve
    socket.onerror = reject
  })
  let id = 0
  const ask = (method: string, params = {}) =>
    new Promise<{ profile?: unknown }>((resolve) => {
      const own = ++id
      socket.addEventListener('message', ({ data }) => {
        const answer = JSON.parse(String(data))
        if (answer.id === own) resolve(answer.result)
      })
      socket.send(JSON.stringify({ id: own, method, params }))
    })
  try {
    await ask('Profiler.enable')
    await ask('Profiler.setSamplingInterval', { interval: 200 })
    await ask('Profiler.start')
    const result = await run()
    writeFileSync(file, JSON.stringify((await ask('Profiler.stop')).profile))
    return result
  } finally {
    socket.close()
  }
}
