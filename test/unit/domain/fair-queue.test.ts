import { expect, it } from 'vitest'
import { withDeadline } from '#/database/deadline.ts'
import { createFairQueue, type Requester } from '#/domain/users/fair-queue.ts'

const full = new Error('full')

/** A queue and who was served or refused, in order. */
function startQueue(room: { most: number; perNetwork: number }) {
  const queue = createFairQueue(room)
  const [served, refused]: [string[], string[]] = [[], []]
  const lane = (network: string, address = network, known = false): Requester => ({
    network,
    address,
    known,
  })
  return {
    refused,
    join(name: string, ...where: Parameters<typeof lane>) {
      queue
        .wait(lane(...where), () => full)
        .then(
          () => served.push(name),
          () => refused.push(name),
        )
    },
    async serveAll() {
      await Promise.resolve()
      while (queue.next()) await new Promise((resolve) => setImmediate(resolve))
      return served
    },
  }
}

it('goes round by network, then by address, in the order of arrival', async () => {
  const { join, serveAll } = startQueue({ most: 20, perNetwork: 10 })
  for (const n of [1, 2, 3]) join(`crowd-${n}`, 'crowd', 'a')
  join('neighbour', 'crowd', 'b')
  join('other', 'elsewhere')
  expect(await serveAll()).toEqual(['crowd-1', 'other', 'neighbour', 'crowd-2', 'crowd-3'])
})

it('serves those who are known first, but lets the others have every fourth turn', async () => {
  const { join, serveAll } = startQueue({ most: 20, perNetwork: 10 })
  for (const n of [1, 2]) join(`stranger-${n}`, `s-${n}`)
  for (const n of [1, 2, 3, 4, 5]) join(`known-${n}`, `k-${n}`, `k-${n}`, true)
  const served = (await serveAll()).map((name) => name.split('-')[0])
  expect(served).toEqual(['known', 'known', 'known', 'stranger', 'known', 'known', 'stranger'])
})

it('lets one network wait with so many, and refuses its busiest address first', async () => {
  const { join, refused, serveAll } = startQueue({ most: 20, perNetwork: 3 })
  for (const n of [1, 2, 3, 4]) join(`flood-${n}`, 'net', 'a')
  join('neighbour', 'net', 'b')
  join('other', 'elsewhere')
  const served = await serveAll()
  expect(refused.sort()).toEqual(['flood-3', 'flood-4'])
  expect(served).toEqual(expect.arrayContaining(['neighbour', 'other']))
})

it('makes room for a newcomer at the expense of whoever takes most of a full queue', async () => {
  const { join, refused, serveAll } = startQueue({ most: 6, perNetwork: 4 })
  for (const n of [1, 2, 3, 4]) join(`a-${n}`, 'a')
  for (const n of [1, 2]) join(`b-${n}`, 'b')
  join('newcomer', 'c')
  join('b-3', 'b')
  // By now all have as many: whoever comes last has to go.
  join('b-4', 'b')
  const served = await serveAll()
  expect(served).toContain('newcomer')
  expect(refused).toEqual(['a-4', 'b-3', 'b-4'])
})

it('lets go whoever has been answered already, and gives the place to others', async () => {
  const { join, refused, serveAll } = startQueue({ most: 2, perNetwork: 2 })
  const start = performance.now()
  withDeadline({ at: start + 50 }, () => join('late', 'net', 'a'))
  join('patient', 'net', 'b')
  await expect.poll(() => refused).toEqual(['late'])
  expect(performance.now() - start).toBeGreaterThanOrEqual(49)
  join('newcomer', 'net', 'a')
  expect(await serveAll()).toEqual(['patient', 'newcomer'])
  expect(refused).toEqual(['late'])
})
