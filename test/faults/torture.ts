/** `npm run torture`: a crowd, two replicas, and everything around them failing; ends with 1 when anything was lost. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { failed, figures, findingsOf } from './torture/report.ts'
import { torture } from './torture/torture.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    replicas: { type: 'string', default: '2' },
    people: { type: 'string', default: '40' },
    machines: { type: 'string', default: '6' },
    pooler: { type: 'boolean', default: false },
    only: { type: 'string' },
    out: { type: 'string' },
  },
})

const say = (line: string) => process.stdout.write(`${line}\n`)
const options = {
  seconds: Number(values.minutes) * 60,
  seed: values.seed,
  replicas: Number(values.replicas),
  people: Number(values.people),
  machines: Number(values.machines),
  pooler: values.pooler,
  ...(values.only !== undefined && { only: values.only.split(',') }),
  say,
}

say(`Seed ${options.seed}, ${values.minutes} minutes.`)
const outcome = await torture(options)
const table = figures(outcome, options)
if (values.out !== undefined) writeFileSync(values.out, `${table}\n`)
say(`\n${findingsOf(outcome)}\n\n${table}`)
process.exit(failed(outcome) ? 1 : 0)
