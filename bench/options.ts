import { parseArgs } from 'node:util'

export interface Options {
  /** Empty: all. */
  scenarios: string[]
  /** Empty: all. */
  opponents: string[]
  /** What each of these costs, in place of scenarios; empty: every policy. */
  policies?: string[]
  rounds: number
  /** Whole seconds of each measurement. */
  seconds: number
  /** Whole seconds of traffic before the first measurement of a gateway that compiles its code as it runs. */
  warmup: number
  /** Few rounds, fewer contenders: under two minutes in all. */
  quick: boolean
  json: boolean
  record: boolean
  /** For the Node.js that runs sluice. */
  nodeArguments: string[]
}

export const usage = `npm run bench -- [OPTIONS]

Measures Sluice beside other gateways, in alternating rounds on one core, in CPU per request.

  --quick              Under two minutes; the Node proxies and HAProxy only in 'plain'
  --scenario A,B       Only these (default: all)
  --policies [A,B]     What these policies (default: each one) add to a request, and nothing else
  --opponents A,B      Only these beside nginx, the unit (default: all)
  --rounds N           Rounds (default: 5, policies: 3, quick: 2)
  --seconds N          Whole seconds of each measurement (default: 3, policies and quick: 1)
  --warmup N           Whole seconds before a Node gateway's first measurement (default: 4, quick: 2)
  --node-args=TEXT     For the Node.js that runs sluice: --node-args="--cpu-prof --cpu-prof-dir=profiles"
  --json               Print the result as JSON
  --record             Write bench/results/DATE-COMMIT.md and .json
  --help               This text

Examples:
  npm run bench -- --quick
  npm run bench -- --scenario plain,chain --opponents sluice --rounds 7
  npm run bench -- --policies key-auth,cors
`

/** Undefined when help was asked for. Throws a TypeError or RangeError with what is wrong. */
export function readOptions(argv: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: argv.map((argument, index) => (isBare(argument, argv[index + 1]) ? `${argument}=` : argument)),
    options: {
      quick: { type: 'boolean', default: false },
      scenario: { type: 'string', default: '' },
      opponents: { type: 'string', default: '' },
      policies: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      warmup: { type: 'string' },
      'node-args': { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const { quick, policies } = values
  const brief = quick || policies !== undefined
  return {
    quick,
    scenarios: list(values.scenario),
    opponents: list(values.opponents),
    ...(policies !== undefined && { policies: list(policies) }),
    rounds: whole('rounds', values.rounds, quick ? 2 : brief ? 3 : 5),
    seconds: whole('seconds', values.seconds, brief ? 1 : 3),
    warmup: whole('warmup', values.warmup, brief ? 2 : 4),
    json: values.json,
    record: values.record,
    nodeArguments: values['node-args'].split(' ').filter(Boolean),
  }
}

/** `--policies` without names stands for all of them. */
function isBare(argument: string, next: string | undefined): boolean {
  return argument === '--policies' && (next === undefined || next.startsWith('--'))
}

function list(text: string): string[] {
  return text.split(',').filter(Boolean)
}

function whole(name: string, text: string | undefined, absent: number): number {
  if (text === undefined) return absent
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1 || number > 600)
    throw new RangeError(`--${name} is a whole number from 1 to 600, not '${text}'`)
  return number
}
