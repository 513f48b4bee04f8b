import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { createAvailability } from '#/database/availability.ts'

function setUp() {
  const changes: boolean[] = []
  const world = { answers: true, silent: false, asked: 0 }
  const availability = createAvailability({
    async probe(boundMs) {
      world.asked += 1
      if (world.silent) await sleep(boundMs)
      if (!world.answers) throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
    },
    patientMs: 5000,
    onChange: (isUp) => changes.push(isUp),
  })
  return { changes, world, availability }
}

it('refuses at once after a failed attempt, and lets everybody in as soon as a probe is answered', async () => {
  const { changes, world, availability } = setUp()
  world.answers = false
  availability.failed(new Error('gone'))
  availability.failed(new Error('gone'))
  expect(() => availability.require()).toThrow('known to be down')
  await sleep(600)
  expect([availability.isUp(), changes]).toEqual([false, [false]])
  expect(world.asked).toBeLessThan(10)
  world.answers = true
  await expect.poll(() => availability.isUp(), { timeout: 1000 }).toBe(true)
  expect(changes).toEqual([false, true])
})

it('stays up when what was suspected is not so, and goes down when it is', async () => {
  const { changes, world, availability } = setUp()
  availability.suspect()
  await sleep(20)
  expect([availability.isUp(), world.asked]).toEqual([true, 1])
  world.answers = false
  availability.suspect()
  await expect.poll(() => availability.isUp()).toBe(false)
  expect(changes).toEqual([false])
  availability.stop()
})

it('asks once more when the one that asks is lost as well, but not when nobody says anything', async () => {
  const { changes, world, availability } = setUp()
  Object.assign(world, { answers: false, silent: true })
  const start = performance.now()
  availability.suspect()
  await expect.poll(() => availability.isUp(), { timeout: 5000, interval: 10 }).toBe(false)
  const took = performance.now() - start
  expect(took).toBeGreaterThan(900)
  expect(took).toBeLessThan(1800)
  expect(changes).toEqual([false])
  availability.stop()
})

it('stays up when only the first that asks is lost', async () => {
  const { changes, world, availability } = setUp()
  world.answers = false
  availability.suspect()
  world.answers = true
  await expect.poll(() => world.asked).toBe(2)
  expect([availability.isUp(), changes]).toEqual([true, []])
})
