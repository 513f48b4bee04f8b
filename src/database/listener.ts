/**
 * LISTEN on a connection of its own. What was sent while it was away is lost, so whoever listens is told of each new
 * beginning; and a connection on which nothing is sent may be dead without knowing, so it is asked every few seconds.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { DriverOptions } from './connection.ts'
import { asError, type Connection, openConnection, runWithin } from './connection.ts'

export interface Listener {
  /** `onConnected` is called whenever listening (re)starts. Answers how to stop it. */
  listen(
    channel: string,
    onMessage: (payload: string) => void,
    onConnected?: () => void,
  ): Promise<() => Promise<void>>
  close(): Promise<void>
}

interface Subscription {
  readonly channel: string
  readonly onMessage: (payload: string) => void
  readonly onConnected: () => void
}

/** For each answer. */
const boundMs = 3000
const pauseMs = 500
const betweenQuestionsMs = 5000

export async function openListener(options: DriverOptions): Promise<Listener> {
  const subscriptions = new Set<Subscription>()
  let [closed, opening] = [false, true]
  const onnotify = (channel: string, payload: string) => {
    for (const one of subscriptions) if (one.channel === channel) one.onMessage(payload)
  }
  const driver = { options: { ...options, onnotify }, types: { parsers: {}, serializers: {} } }

  async function open(): Promise<Connection> {
    const opened = await openConnection(driver, boundMs, () => void openAgain())
    try {
      for (const one of subscriptions) await subscribe(opened, one)
      return opened
    } catch (error) {
      opened.destroy(asError(error))
      throw error
    }
  }

  async function openAgain() {
    if (opening) return
    opening = true
    while (connection.isLost && !closed) {
      connection = await open().catch(() => connection)
      if (connection.isLost) await sleep(pauseMs, undefined, { ref: false })
    }
    opening = false
    if (closed) await connection.close()
  }

  let connection = await open()
  opening = false
  const asking = setInterval(() => {
    runWithin(connection, { text: 'select 1' }, boundMs).catch(() => {})
  }, betweenQuestionsMs).unref()

  return {
    async listen(channel, onMessage, onConnected = () => {}) {
      const subscription = { channel, onMessage, onConnected }
      // First, so that what comes with the answer is not missed.
      subscriptions.add(subscription)
      await subscribe(connection, subscription).catch((error: unknown) => {
        subscriptions.delete(subscription)
        throw error
      })
      return async () => {
        subscriptions.delete(subscription)
        // A connection that is lost meanwhile has forgotten it as well.
        await runWithin(connection, { text: `unlisten "${channel}"` }, boundMs).catch(() => {})
      }
    },
    async close() {
      closed = true
      clearInterval(asking)
      await connection.close()
    },
  }
}

async function subscribe(connection: Connection, { channel, onConnected }: Subscription) {
  await runWithin(connection, { text: `listen "${channel}"` }, boundMs)
  onConnected()
}
