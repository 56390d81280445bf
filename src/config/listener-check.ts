/** What the fields of one listener say only together. */
import { below, type Place, type Report } from './report.ts'
import { type GatewayInput, standardListenerPorts } from './settings.ts'

type ListenerInput = NonNullable<GatewayInput['listeners']>[number]

/** @param placeOf of the listener with that index; undefined: it stands in no file */
export function checkListeners(
  listeners: readonly ListenerInput[],
  placeOf: (index: number) => Place | undefined,
  report: Report,
): void {
  for (const [index, listener] of listeners.entries()) {
    const place = placeOf(index)
    const { protocol = 'http', port } = listener
    if (port === undefined && standardListenerPorts[protocol] === undefined) {
      report.addUnplaced(place, {
        code: 'missing-field',
        message: `the field port is required with protocol: ${protocol}`,
      })
    }
    const carriesSessions = protocol === 'tcp' || protocol === 'tls'
    const speaksHttp = (protocol === 'http' || protocol === 'https') && listener.http2 !== false
    const idle = [
      listener.http2_limits !== undefined && !speaksHttp && 'http2_limits',
      listener.passthrough === true && protocol !== 'tls' && 'passthrough',
      listener.ssl !== undefined && protocol !== 'https' && protocol !== 'tls' && 'ssl',
      listener.proxy_protocol !== undefined && protocol === 'udp' && 'proxy_protocol',
      listener.proxy_protocol_to_upstream !== undefined && !carriesSessions && 'proxy_protocol_to_upstream',
    ].filter((field) => field !== false)
    for (const field of idle) {
      report.addUnplaced(place && below(place, field), {
        code: 'conflicting-fields',
        message: `${field} is not for listeners with ${field === 'http2_limits' && listener.http2 === false ? 'http2: false' : `protocol: ${protocol}`}`,
        ...(field === 'proxy_protocol_to_upstream' &&
          protocol !== 'udp' && {
            hint: 'Upstreams of requests say it themselves: write proxy_protocol there.',
          }),
      })
    }
  }
}
