/** The body of an error out of `grpc-status-details-bin`, which holds a `google.rpc.Status`. */
import type { ProtoDefinitions } from '../kit/index.ts'
import { type DecodeOptions, decodeMessage } from './decoder.ts'
import { type MessageType, MessageTypes } from './message-types.ts'

const statusDefinition: ProtoDefinitions = {
  messages: [
    {
      name: 'Any',
      isProto3: true,
      fields: [
        { name: 'type_url', id: 1, type: 'string' },
        { name: 'value', id: 2, type: 'bytes' },
      ],
    },
    {
      name: 'Status',
      isProto3: true,
      fields: [
        { name: 'code', id: 1, type: 'int32' },
        { name: 'message', id: 2, type: 'string' },
        { name: 'details', id: 3, type: 'message', of: 'Any', isRepeated: true },
      ],
    },
  ],
  enums: [],
  services: [],
}

const statusType = new MessageTypes(statusDefinition).message('Status')!
const statusOptions: DecodeOptions = { enums: 'name', integers: 'number', defaults: 'auto' }

/**
 * @param details in Base64
 * @param detailType of the details; null: there is no such type, undefined: they stay as they are
 * @returns what stands there, in the words of APISIX where that cannot be read; one character a byte
 */
export function errorBody(
  details: string,
  detailType: MessageType | null | undefined,
  options: DecodeOptions,
): string {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(details)) return 'grpc-status-details-bin is not base64 format'
  let status: ReturnType<typeof decodeMessage>
  try {
    status = decodeMessage(statusType, Buffer.from(details, 'base64'), statusOptions)
  } catch {
    return 'failed to call pb.decode to decode grpc-status-details-bin'
  }
  if (detailType !== undefined) {
    const list = status.details as { value: string }[]
    try {
      if (detailType === null && list.length > 0) throw new Error('there is no such type')
      status.details = list.map(({ value }) =>
        decodeMessage(detailType!, Buffer.from(value, 'latin1'), options),
      )
    } catch {
      return 'failed to call pb.decode to decode details in grpc-status-details-bin'
    }
  }
  return JSON.stringify({ error: status })
}
