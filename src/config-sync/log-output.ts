/** Outputs of the log in the runtime configuration, in the words of Fluent Bit, whose names of parameters have no case. */
import { formatPath } from '../config/problem.ts'
import { type KafkaOutput, kafkaOutput, kafkaParametersWithoutEffect } from './kafka-output.ts'
import { OutputParameters } from './output-parameters.ts'
import type { ReportedRefusal } from './protocol/messages.ts'

/** Where every line of the log goes besides standard error. */
export type LogOutput = { name: string } & (
  | { type: 'file'; path: string }
  | {
      type: 'http' | 'elasticsearch'
      url: string
      headers: Record<string, string>
      /** `json`: a list; `json_lines`: a line each. Of `elasticsearch` it is always a bulk request. */
      format: 'json' | 'json_lines'
      verify: boolean
    }
  | KafkaOutput
)

interface Logging {
  runtimeLogs?: { outputs?: string[] }
  outputs?: Record<string, { type: string; parameters?: Record<string, unknown> }>
}

type Findings = ReportedRefusal['findings']

/** What is written to standard error anyway. */
const standard = new Set(['stdout', 'stderr'])
/** Types by the names that Fluent Bit has for them. */
const types: Readonly<Record<string, LogOutput['type']>> = {
  file: 'file',
  http: 'http',
  es: 'elasticsearch',
  elasticsearch: 'elasticsearch',
  kafka: 'kafka',
}

/** Whether this version can send lines there. */
export const isLogOutput = (type: string): boolean => standard.has(type) || Object.hasOwn(types, type)

/** Those that the log goes to: all, or those that `runtimeLogs.outputs` names. */
export function logOutputsOf({ runtimeLogs, outputs = {} }: Logging = {}): {
  outputs: LogOutput[]
  findings: Findings
} {
  const found: LogOutput[] = []
  const findings: Findings = []
  const wanted = runtimeLogs?.outputs
  for (const name of wanted ?? []) {
    if (Object.hasOwn(outputs, name)) continue
    findings.push(
      finding(['logging', 'runtimeLogs', 'outputs'], `there is no output ${JSON.stringify(name)}`),
    )
  }
  for (const [name, { type: given, parameters = {} }] of Object.entries(outputs)) {
    const type = Object.hasOwn(types, given) ? types[given] : undefined
    if (type === undefined || (wanted !== undefined && !wanted.includes(name))) continue
    const read = new OutputParameters(parameters)
    const output = outputOf(name, type, read)
    if (typeof output === 'string') {
      findings.push(finding(['logging', 'outputs', name, 'parameters'], output))
    } else found.push(output)
  }
  return { outputs: found, findings }
}

/** Fields of an output that nothing follows: the whole of one whose type is not spoken, or single parameters. */
export function withoutEffectOf({ outputs = {} }: Logging = {}): string[] {
  return Object.entries(outputs).flatMap(([name, { type, parameters = {} }]) => {
    const path = `logging.outputs.${name}`
    if (!isLogOutput(type)) return [path]
    if (type !== 'kafka') return []
    return kafkaParametersWithoutEffect(new OutputParameters(parameters)).map(
      (parameter) => `${path}.parameters.${parameter}`,
    )
  })
}

/** @returns what is wrong, in words */
function outputOf(name: string, type: LogOutput['type'], parameters: OutputParameters): LogOutput | string {
  if (type === 'file') return fileOutput(name, parameters)
  if (type !== 'kafka') return httpOutput(name, type, parameters)
  const output = kafkaOutput(parameters)
  return typeof output === 'string' ? output : { name, ...output }
}

/** @returns what is wrong, in words */
function fileOutput(name: string, parameters: OutputParameters): LogOutput | string {
  const folder = parameters.text('path')
  const file = parameters.text('file', folder === '' ? '' : `${name}.log`)
  const path = folder === '' || file.startsWith('/') ? file : `${folder.replace(/\/+$/, '')}/${file}`
  if (!path.startsWith('/')) return 'a file needs an absolute `path`, or a `file` with one'
  if (path.split('/').includes('..')) return 'the path of a file leads upwards'
  return { name, type: 'file', path }
}

/** @returns what is wrong, in words */
function httpOutput(
  name: string,
  type: 'http' | 'elasticsearch',
  parameters: OutputParameters,
): LogOutput | string {
  const isHttp = type === 'http'
  const scheme = parameters.isOn('tls', false) ? 'https' : 'http'
  const host = parameters.text('host', '127.0.0.1')
  const port = parameters.text('port', isHttp ? '80' : '9200')
  const path = isHttp
    ? parameters.text('uri', '/')
    : `/${encodeURIComponent(parameters.text('index', 'fluent-bit'))}/_bulk`
  const format = parameters.text('format', 'json')
  if (isHttp && format !== 'json' && format !== 'json_lines') {
    return `\`format\` is json or json_lines here, not ${JSON.stringify(format)}`
  }
  const address = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}${path}`
  if (!/^\d{1,5}$/.test(port) || !path.startsWith('/') || /[\s/@?#]/.test(host) || !URL.canParse(address)) {
    return 'the host, port and path make no address'
  }
  const headers: Record<string, string> = {
    'content-type': format === 'json' && isHttp ? 'application/json' : 'application/x-ndjson',
  }
  for (const line of parameters.list('header')) {
    const [field = '', ...value] = line.trim().split(/\s+/)
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(field) || !/^[\t\x20-\x7e]*$/.test(value.join(' '))) {
      return 'a `header` is a name and a value with a space between them'
    }
    headers[field.toLowerCase()] = value.join(' ')
  }
  const user = parameters.text('http_user')
  if (user !== '') {
    const credentials = Buffer.from(`${user}:${parameters.text('http_passwd')}`).toString('base64')
    headers.authorization = `Basic ${credentials}`
  }
  return {
    name,
    type,
    url: address,
    headers,
    format: format === 'json_lines' ? 'json_lines' : 'json',
    verify: parameters.isOn('tls.verify', true),
  }
}

const finding = (path: string[], message: string): Findings[number] => ({
  code: 'invalid-value',
  severity: 'error',
  path: formatPath(['runtime_configuration', ...path]),
  message,
})
