/** `npm run fuzz -- --minutes 30 --seed 7`: the fuzzer for as long as you like. */
import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
})

const vitest = ['run', '--config', 'test/vitest.config.ts', '--project', 'fuzz']
spawn(process.execPath, ['node_modules/vitest/vitest.mjs', ...vitest], {
  stdio: 'inherit',
  env: {
    ...process.env,
    FUZZ_SECONDS: String(Number(values.minutes) * 60),
    FUZZ_SEED: values.seed,
  },
}).once('exit', (code) => process.exit(code ?? 1))
