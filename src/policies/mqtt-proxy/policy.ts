import { definePolicy, openInApisix, Type, type Verdict } from '../kit/index.ts'
import { largestPacket, packetLength, readConnectPacket } from './connect-packet.ts'

/** Looks at what MQTT clients connect with; configuration of APISIX's `mqtt-proxy`. */
export default definePolicy({
  name: 'mqtt-proxy',
  summary: 'Lets MQTT clients of one protocol level pass, and tells balancers who they are.',
  details:
    'For TCP and TLS sessions of stream routes; it has no effect on requests. The first packet of a client is read before ' +
    'its session goes on, within `gateway.timeouts.handshake`: a session that begins with anything but a CONNECT packet of ' +
    'this protocol and level is closed. The client identifier is the variable `mqtt_client_id`, by which an upstream with ' +
    '`type: chash` and `key: mqtt_client_id` sends a client to the same node each time; clients without one are told apart ' +
    'by their address.',
  stage: 'limit',
  priority: 1000,
  config: Type.Object(
    {
      protocol_name: Type.String({ default: 'MQTT', description: 'What the protocol has to be called.' }),
      protocol_level: Type.Integer({
        description: 'The level that clients have to speak: 4 for MQTT 3.1.1, 5 for MQTT 5.',
      }),
    },
    openInApisix,
  ),
  stream: { only: true },
  create({ protocol_name: name, protocol_level: level }) {
    const rejected: Verdict = { status: 503 }
    return {
      async request(exchange) {
        const { session } = exchange
        if (session === undefined) return undefined
        const bytes = await session.peek(largestPacket, (arrived) => {
          const length = packetLength(arrived)
          return length === -1 || (length > 0 && arrived.length >= length)
        })
        if (bytes === null || packetLength(bytes) === -1) return rejected
        const packet = readConnectPacket(bytes.subarray(0, packetLength(bytes)))
        if (packet === null || packet.protocol !== name || packet.level !== level) return rejected
        if (packet.clientId !== '') exchange.told = { ...exchange.told, mqtt_client_id: packet.clientId }
        return undefined
      },
    }
  },
})
