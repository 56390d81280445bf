/** What APISIX's own file says of TCP, UDP and the PROXY protocol, as entries of `gateway.listeners`. */

type Fields = Record<string, unknown>
type Listener = Fields & { port: number }

/** Keys that are read here together, rather than one by one. */
export const streamKeys: ReadonlySet<string> = new Set([
  'apisix.proxy_mode',
  'apisix.stream_proxy.tcp',
  'apisix.stream_proxy.udp',
  'apisix.proxy_protocol.listen_http_port',
  'apisix.proxy_protocol.listen_https_port',
  'apisix.proxy_protocol.enable_tcp_pp',
  'apisix.proxy_protocol.enable_tcp_pp_to_upstream',
  'nginx_config.stream.real_ip_from',
])

export interface ApisixStreams {
  /** Whether requests are served at all. */
  http: boolean
  listeners: Listener[]
  /** Keys of `streamKeys` that make no difference, or cannot be read. */
  unused: ReadonlySet<string>
}

/** @param config APISIX's top-level keys */
export function streamsOfApisix(config: Fields): ApisixStreams {
  const { proxy_mode: mode, stream_proxy: streams, proxy_protocol: protocol } = fields(config.apisix)
  const nginx = fields(config.nginx_config)
  const unused = new Set<string>()
  const proxied = fields(protocol)
  const listeners: Listener[] = []
  const isStream = mode === 'stream' || mode === 'http&stream'
  if (mode !== undefined && mode !== 'http' && !isStream) unused.add('apisix.proxy_mode')
  for (const [key, secure] of [
    ['listen_http_port', false],
    ['listen_https_port', true],
  ] as const) {
    const port = proxied[key]
    if (port === undefined) continue
    if (typeof port !== 'number') unused.add(`apisix.proxy_protocol.${key}`)
    else {
      const header = { proxy_protocol: believed(believedByHttp(fields(nginx.http))) }
      listeners.push({ port, ...(secure && { protocol: 'https' }), ...header })
    }
  }
  const { tcp, udp } = fields(streams)
  const trusted = textList(fields(nginx.stream).real_ip_from)
  const defaults = {
    proxy_protocol: proxied.enable_tcp_pp === true,
    proxy_protocol_to_upstream: proxied.enable_tcp_pp_to_upstream === true,
  }
  for (const [key, entries, protocolOf] of [
    ['tcp', tcp, (entry: Fields) => (entry.tls === true ? 'tls' : 'tcp')],
    ['udp', udp, () => 'udp'],
  ] as const) {
    if (entries === undefined) continue
    const read = isStream && Array.isArray(entries) ? entries.map((entry) => streamOf(entry)) : undefined
    if (read === undefined || read.includes(undefined)) {
      unused.add(`apisix.stream_proxy.${key}`)
      continue
    }
    for (const entry of read as StreamEntry[]) {
      const says = { ...defaults, ...entry.says }
      const isTcp = key === 'tcp'
      listeners.push({
        port: entry.port,
        ...(entry.host !== undefined && { host: entry.host }),
        protocol: protocolOf(entry.says),
        ...(isTcp && says.proxy_protocol === true && { proxy_protocol: believed(trusted) }),
        ...(isTcp && says.proxy_protocol_to_upstream === true && { proxy_protocol_to_upstream: 'v1' }),
      })
    }
  }
  return { http: mode !== 'stream', listeners, unused }
}

/** nginx reads the header of everybody, and believes those that it is told to. */
const believed = (trusted: string[]) => ({ trusted, untrusted: 'ignore' })

const believedByHttp = ({ real_ip_header: header, real_ip_from: from }: Fields) =>
  header === 'proxy_protocol' ? textList(from) : []

interface StreamEntry {
  host?: string
  port: number
  says: Fields
}

/** A port, `HOST:PORT`, or a map with one of them under `addr`. */
function streamOf(entry: unknown): StreamEntry | undefined {
  const says = fields(entry)
  const address = says === none ? entry : says.addr
  if (typeof address === 'number') return { port: address, says }
  const match = typeof address === 'string' ? /^(?:(.+):)?(\d{1,5})$/.exec(address) : null
  if (match === null) return undefined
  const host = match[1]?.replace(/^\[|\]$/g, '')
  return { port: Number(match[2]), ...(host !== undefined && { host }), says }
}

const none: Fields = {}

const fields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : none

/** nginx also takes `unix:`, which no peer of ours has. */
const textList = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((entry) => typeof entry === 'string' && entry !== 'unix:') : []
