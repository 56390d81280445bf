import { parseArgs } from 'node:util'
import { catalogue, policySchemas } from '../policies/index.ts'
import { type RequestDescription, readDescription } from '../proxy/explain/description.ts'
import type { Explanation } from '../proxy/explain/explanation.ts'
import { type CliIo, type Command, exitCode, UsageError } from './command.ts'
import { formatOf, readConfiguration } from './configuration.ts'
import { bindSecrets } from './explain/bound-plan.ts'
import { explainOffline } from './explain/offline.ts'
import { explanationText } from './explain/text.ts'
import { printErrors } from './findings.ts'
import { askGateway, gatewayUrl } from './gateway-client.ts'

export const command: Command = {
  name: 'explain',
  summary: 'Say what happens with a request, and why, without sending it',
  usage: 'sluice explain [-c FILE_OR_FOLDER]... [-X METHOD] URL [-H FIELD]... [-d BODY] [--from ADDRESS]',
  options: [
    {
      flags: '-c, --config FILE_OR_FOLDER',
      text: 'By which configuration; repeatable (default: ./sluice.yaml, then /etc/sluice/)',
    },
    { flags: '--gateway URL', text: 'By a running gateway, in place of files: the URL of its control port' },
    { flags: '-X, --request METHOD', text: 'The method (default: GET, or POST with a body)' },
    { flags: '-H, --header FIELD', text: "A field, as 'Name: value'; repeatable" },
    { flags: '-d, --data BODY', text: 'The body' },
    { flags: '--from ADDRESS', text: 'Address of the peer (default: 127.0.0.1)' },
    {
      flags: '--listener NAME',
      text: "Where it comes in (default: the listener of the URL's port, else the first)",
    },
    { flags: '--secrets', text: 'Ask secret managers for what policies need; without, only the environment' },
    { flags: '--format text|json', text: 'How to print it (default: text)' },
  ],
  examples: [
    'sluice explain -c examples/streams tcp://127.0.0.1:9080 --from 10.0.0.7',
    'sluice explain -c examples/quickstart http://127.0.0.1:9080/users/1',
    "sluice explain -c examples/key-auth -H 'apikey: key-of-alice' /users/1",
    'sluice explain --gateway http://127.0.0.1:9090 -X DELETE /users/1 --format json',
  ],

  async run(argv, io) {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        config: { type: 'string', short: 'c', multiple: true, default: [] },
        gateway: { type: 'string' },
        request: { type: 'string', short: 'X' },
        header: { type: 'string', short: 'H', multiple: true, default: [] },
        data: { type: 'string', short: 'd' },
        from: { type: 'string' },
        listener: { type: 'string' },
        secrets: { type: 'boolean', default: false },
        format: { type: 'string', default: 'text' },
      },
    })
    const format = formatOf(values.format)
    const [url, ...others] = positionals
    if (url === undefined || others.length > 0) throw new UsageError('explain takes one URL')
    if (values.gateway !== undefined && values.config.length > 0) {
      throw new UsageError('either --config or --gateway')
    }
    const description = describe(url, values)
    const explanation =
      values.gateway === undefined
        ? await explainFiles(values.config, description, values.secrets, io)
        : await askGateway(gatewayUrl(values.gateway), 'POST', '/v1/explain', description)
    if (explanation === undefined) return exitCode.invalid
    io.stdout.write(
      format === 'json'
        ? `${JSON.stringify(explanation, null, 2)}\n`
        : explanationText(explanation as Explanation),
    )
    return exitCode.ok
  },
}

interface RequestOptions {
  request?: string | undefined
  header: string[]
  data?: string | undefined
  from?: string | undefined
  listener?: string | undefined
}

function describe(
  url: string,
  { request, header, data, from, listener }: RequestOptions,
): RequestDescription {
  const description = readDescription({
    method: request ?? (data === undefined ? 'GET' : 'POST'),
    url,
    headers: header.map(fieldOf),
    body: data,
    from,
    listener,
  })
  if ('problem' in description) throw new UsageError(description.problem)
  return description
}

function fieldOf(text: string): [name: string, value: string] {
  const colon = text.indexOf(':')
  if (colon < 1) throw new UsageError(`a header is written as 'Name: value', not '${text}'`)
  return [text.slice(0, colon), text.slice(colon + 1).trim()]
}

/** Undefined after the findings of a configuration with errors were printed. */
async function explainFiles(
  named: readonly string[],
  description: RequestDescription,
  asksManagers: boolean,
  io: CliIo,
): Promise<Explanation | undefined> {
  const { plan, configuration, documents, findings, secretUses = [] } = await readConfiguration(named, io)
  if (plan !== undefined && configuration !== undefined) {
    const bound = await bindSecrets(plan, secretUses, policySchemas(catalogue), asksManagers, io)
    return explainOffline(description, bound, configuration, documents)
  }
  printErrors(findings, io)
  return undefined
}
