/** One replica at a time: an advisory lock that needs no session, so that a pooler may stand in between. */
import type postgres from 'postgres'

const waitForUs = `select set_config(name, '0', true) from pg_settings
  where name in ('idle_in_transaction_session_timeout', 'transaction_timeout')`

/**
 * Runs the work if nobody else holds the lock; answers whether it did. The lock belongs to a transaction that stays open for as
 * long as the work of another connection takes: it holds no snapshot (statements of the simple protocol leave none), so no
 * index that is being built waits for it. Nobody waits for the lock either, since a statement that did would hold one.
 */
export function tryHoldingLock(
  client: postgres.Sql,
  id: number,
  work: () => Promise<void>,
): Promise<boolean> {
  return client.begin(async (tx) => {
    const [answer] = await tx.unsafe<{ taken: boolean }[]>(
      `select pg_try_advisory_xact_lock(${id}) as taken`,
    )
    if (!answer?.taken) return false
    await tx.unsafe(waitForUs)
    await work()
    return true
  }) as Promise<boolean>
}
