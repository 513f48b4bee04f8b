/** Chance that a seed decides: the same seed makes the same choices, though not the same timing. */
export interface Dice {
  /** From 0 up to, but without, 1. */
  next(): number
  between(least: number, most: number): number
  /** True that often. */
  chance(probability: number): boolean
  pick<T>(items: readonly T[]): T
  /** Dice of one's own, which nobody else's throws disturb. */
  derive(name: string): Dice
}

/** A mulberry32. */
export function createDice(seed: string): Dice {
  let state = hashOf(seed)
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    next,
    between: (least, most) => least + next() * (most - least),
    chance: (probability) => next() < probability,
    pick(items) {
      const item = items[Math.floor(next() * items.length)]
      if (item === undefined) throw new Error('nothing to pick from')
      return item
    },
    derive: (name) => createDice(`${seed}/${name}`),
  }
}

/** FNV-1a. */
const hashOf = (text: string) =>
  [...text].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 0x01000193), 0x811c9dc5)
