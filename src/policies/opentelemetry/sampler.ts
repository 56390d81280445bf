/** The samplers of APISIX's policy, which are those of OpenTelemetry. */
import { type Static, Type } from '../kit/index.ts'
import { alwaysOff, alwaysOn, parentBased, type Sampler, traceIdRatio } from '../kit/tracing/index.ts'

const fraction = Type.Number({
  default: 0,
  description: 'Share of traces for `trace_id_ratio`, from 0 to 1.',
})

const root = Type.Object(
  {
    name: Type.Enum(['always_on', 'always_off', 'trace_id_ratio'], {
      default: 'always_off',
      description: 'Who decides where no caller did.',
    }),
    options: Type.Object({ fraction }, { default: { fraction: 0 }, description: 'Of that one.' }),
  },
  {
    default: { name: 'always_off', options: { fraction: 0 } },
    description: 'For `parent_base`: the sampler of traces that begin here.',
  },
)

export const samplerFields = Type.Object(
  {
    name: Type.Enum(['always_on', 'always_off', 'trace_id_ratio', 'parent_base'], {
      default: 'always_off',
      description: 'Which requests are recorded; `parent_base`: as the caller decided.',
    }),
    options: Type.Object(
      { fraction, root },
      { default: { fraction: 0, root: { name: 'always_off' } }, description: 'Of the sampler.' },
    ),
  },
  {
    default: { name: 'always_off', options: { fraction: 0, root: { name: 'always_off' } } },
    description: 'Which requests are recorded.',
  },
)

export function samplerOf({ name, options }: Static<typeof samplerFields>): Sampler {
  if (name !== 'parent_base') return simple(name, options.fraction)
  return parentBased(simple(options.root.name, options.root.options.fraction))
}

function simple(name: 'always_on' | 'always_off' | 'trace_id_ratio', fraction: number): Sampler {
  if (name === 'always_on') return alwaysOn
  return name === 'always_off' ? alwaysOff : traceIdRatio(fraction)
}
