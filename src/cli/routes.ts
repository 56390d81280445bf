import { parseArgs } from 'node:util'
import { type RouteRow, routeTable } from '../proxy/route-table.ts'
import { type CliIo, type Command, exitCode, UsageError } from './command.ts'
import { formatOf, readPlan } from './configuration.ts'
import { askGateway, gatewayUrl } from './gateway-client.ts'
import { textTable } from './text-table.ts'

export const command: Command = {
  name: 'routes',
  summary: 'List the routes in the order in which they are matched',
  usage: 'sluice routes [-c FILE_OR_FOLDER]... [--gateway URL] [--format text|json]',
  options: [
    {
      flags: '-c, --config FILE_OR_FOLDER',
      text: 'Whose routes; repeatable (default: ./sluice.yaml, then /etc/sluice/)',
    },
    { flags: '--gateway URL', text: 'The control port of a running gateway, in place of files' },
    { flags: '--format text|json', text: 'How to print them (default: text)' },
  ],
  examples: [
    'sluice routes -c examples/quickstart',
    'sluice routes --gateway http://127.0.0.1:9090 --format json',
  ],

  async run(argv, io) {
    const { values } = parseArgs({
      args: argv,
      options: {
        config: { type: 'string', short: 'c', multiple: true, default: [] },
        gateway: { type: 'string' },
        format: { type: 'string', default: 'text' },
      },
    })
    const format = formatOf(values.format)
    if (values.gateway !== undefined && values.config.length > 0) {
      throw new UsageError('either --config or --gateway')
    }
    const rows = await readRows(values.config, values.gateway, io)
    if (rows === undefined) return exitCode.invalid
    io.stdout.write(format === 'json' ? `${JSON.stringify(rows, null, 2)}\n` : asText(rows))
    return exitCode.ok
  },
}

async function readRows(
  named: readonly string[],
  gateway: string | undefined,
  io: CliIo,
): Promise<RouteRow[] | undefined> {
  if (gateway !== undefined) {
    return (await askGateway(gatewayUrl(gateway), 'GET', '/v1/route_table')) as RouteRow[]
  }
  const plan = await readPlan(named, io)
  return plan && routeTable(plan)
}

function asText(rows: readonly RouteRow[]): string {
  if (rows.length === 0) return 'There are no routes.\n'
  const head = ['#', 'HOST', 'PATH', 'METHODS', 'PRIORITY', 'ROUTE', 'SERVICE', 'UPSTREAM']
  const conditions = rows.map(conditionsOf)
  if (conditions.every((condition) => condition === '')) return textTable([head, ...rows.map(cells)])
  return textTable([
    [...head, 'CONDITIONS'],
    ...rows.map((row, index) => [...cells(row), conditions[index] || '-']),
  ])
}

function conditionsOf({ remote_addrs: addresses, vars }: RouteRow): string {
  return [
    ...(addresses === undefined ? [] : [`remote_addrs ${addresses.join(',')}`]),
    ...(vars === undefined ? [] : [`vars ${JSON.stringify(vars)}`]),
  ].join(', ')
}

function cells(row: RouteRow): string[] {
  return [
    String(row.order),
    row.hosts.join(',') || '*',
    row.path,
    row.methods.join(',') || '*',
    String(row.priority),
    title(row.route),
    row.service === null ? '-' : title(row.service),
    row.upstream === null ? '-' : upstream(row.upstream),
  ]
}

/** With its name, where that says more than the id. */
function title({ id, name }: { id: string; name?: string }): string {
  return name === undefined || name === id ? id : `${id} (${name})`
}

/** By its id; one that is written in place by its nodes. */
function upstream({ key, nodes }: NonNullable<RouteRow['upstream']>): string {
  if (key.startsWith('upstream:')) return key.slice('upstream:'.length)
  const [first = 'no nodes', ...others] = nodes
  return others.length === 0 ? first : `${first} and ${others.length} more`
}
