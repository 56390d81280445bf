/** Environment variables of Flex Gateway, which say what its files do not. */
import type { Environment } from '../../environment.ts'
import type { Finding } from '../../problem.ts'
import { type GivenSetting, singleSettings } from '../../single-settings.ts'

/** What services are like, as the environment and a Configuration have it. */
export interface ServiceDefaults {
  /** Seconds that an upstream has for its answer. */
  responseTimeout: number
  /** Seconds that a connection to an upstream may be idle. */
  idleTimeout: number
  /** Whether `Host` towards an upstream is that of its address. */
  rewritesHost: boolean
}

export interface FlexVariable {
  readonly name: string
  /** What it is here. */
  readonly here: string
  /** A field of `gateway:`, and its value for a text; undefined: the text is of no use. */
  readonly setting?: { readonly path: readonly string[]; value(text: string): unknown }
  /** A field of all services. */
  readonly service?: (text: string, defaults: ServiceDefaults) => boolean
  /** The value that changes nothing; with any other, what it asks for does not happen. Undefined: all of them. */
  readonly idle?: string
}

const seconds = (text: string) => (/^\d+$/.test(text) ? `${text}s` : undefined)
const whole = (text: string) => (/^\d+$/.test(text) ? Number(text) : undefined)

/** Every variable that its documentation has. */
export const flexVariables: readonly FlexVariable[] = [
  { name: 'FLEX_CONFIG', here: 'resources, beside those of the files' },
  {
    name: 'FLEX_CONNECTION_IDLE_TIMEOUT_SECONDS',
    here: '`gateway.timeouts.keepalive`',
    setting: { path: ['timeouts', 'keepalive'], value: seconds },
  },
  {
    name: 'FLEX_STREAM_IDLE_TIMEOUT_SECONDS',
    here: '`gateway.timeouts.body_idle`',
    setting: { path: ['timeouts', 'body_idle'], value: seconds },
  },
  {
    name: 'FLEX_SERVICE_ENVOY_DRAIN_TIME',
    here: '`gateway.timeouts.drain`',
    setting: { path: ['timeouts', 'drain'], value: seconds },
  },
  {
    name: 'FLEX_REMOVE_SERVER_HEADER',
    here: '`gateway.server`, without a name',
    setting: { path: ['server'], value: (text) => (text === 'true' ? '' : undefined) },
    idle: 'false',
  },
  {
    name: 'FLEX_UPSTREAM_RESPONSE_TIMEOUT_SECONDS',
    here: '`timeout` of upstreams',
    service: (text, defaults) => {
      const value = whole(text)
      if (value !== undefined) defaults.responseTimeout = value
      return value !== undefined
    },
  },
  {
    name: 'FLEX_UPSTREAM_CONNECTION_IDLE_TIMEOUT_SECONDS',
    here: '`keepalive_pool.idle_timeout` of upstreams',
    service: (text, defaults) => {
      const value = whole(text)
      if (value !== undefined) defaults.idleTimeout = value
      return value !== undefined
    },
  },
  {
    name: 'FLEX_REWRITE_HOST_HEADER',
    here: '`pass_host` of upstreams',
    service: (text, defaults) => {
      defaults.rewritesHost = text !== 'false'
      return text === 'true' || text === 'false'
    },
  },
  { name: 'FLEX_NAME', here: 'no effect' },
  { name: 'FLEX_ENVOY_HEADERS_ENABLED', here: 'no effect', idle: 'false' },
  { name: 'FLEX_HEADER_RAW_VALUE_ENABLE', here: 'no effect' },
  { name: 'FLEX_FORWARD_CLIENT_CERT_DETAILS', here: 'no effect', idle: 'SANITIZE' },
  { name: 'FLEX_DOWNSTREAM_CONNECTION_BUFFER_LIMIT_BYTES', here: 'no effect' },
  { name: 'FLEX_DATASOURCE_CONTROL_NODE_ENABLED', here: 'no effect', idle: 'false' },
  { name: 'FLEX_DATASOURCE_K8S_ENABLED', here: 'no effect', idle: 'false' },
  { name: 'FLEX_SYNC_DEBOUNCE_TIME', here: 'no effect' },
]

/** Settings of the gateway that the environment gives, and what of it does nothing here. */
export function flexSettings(env: Environment): { given: GivenSetting[]; findings: Finding[] } {
  const given: GivenSetting[] = []
  const findings: Finding[] = []
  for (const { name, setting, service, idle } of flexVariables) {
    const text = env[name]
    if (text === undefined || text === '' || text === idle || name === 'FLEX_CONFIG') continue
    if (setting !== undefined) {
      const value = setting.value(text)
      const { schema } = singleSettings.find(({ path }) => path.join('.') === setting.path.join('.'))!
      if (value !== undefined) given.push({ name, path: setting.path, value, schema })
      else findings.push(unusable(name))
    } else if (service !== undefined) {
      if (!service(text, usualDefaults())) findings.push(unusable(name))
    } else {
      findings.push({
        code: 'ignored-field',
        severity: idle === undefined ? 'info' : 'warning',
        path: '',
        message: `the environment variable ${name} has no effect here`,
      })
    }
  }
  return { given, findings }
}

/** What the environment says of services. */
export function serviceDefaults(env: Environment): ServiceDefaults {
  const defaults = usualDefaults()
  for (const { name, service } of flexVariables) {
    const text = env[name]
    if (text !== undefined && text !== '') service?.(text, defaults)
  }
  return defaults
}

function usualDefaults(): ServiceDefaults {
  return { responseTimeout: 15, idleTimeout: 60, rewritesHost: true }
}

function unusable(name: string): Finding {
  return {
    code: 'invalid-value',
    severity: 'error',
    path: '',
    message: `the environment variable ${name} has a value that it does not take`,
    hint: 'Times are whole seconds, switches true or false.',
  }
}
