/** A server of gRPC for a definition, made with @grpc/grpc-js; messages are read and written by protobufjs. */
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import protobuf from 'protobufjs'

export interface GrpcServer {
  port: number
  stop(): void
}

/** Of a method: with a call as @grpc/grpc-js has it; unary ones get a callback as well. */
export type GrpcHandlers = UntypedServiceImplementation

/**
 * @param definition text of a `.proto` file
 * @param handlers by service and method; others are not implemented
 * @param port 0: any that is free
 */
export async function startGrpcServer(
  definition: string,
  handlers: Readonly<Record<string, GrpcHandlers>>,
  { port = 0, credentials = ServerCredentials.createInsecure() } = {},
): Promise<GrpcServer> {
  const server = new Server({ 'grpc.max_receive_message_length': -1 })
  const { root } = protobuf.parse(definition, { keepCase: true })
  root.resolveAll()
  for (const [name, implementation] of Object.entries(handlers)) {
    const service = root.lookupService(name)
    server.addService(serviceDefinition(service), implementation)
  }
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, given) =>
      error === null ? resolve(given) : reject(error),
    ),
  )
  return { port: bound, stop: () => server.forceShutdown() }
}

/** For clients too. */
export function serviceDefinition(service: protobuf.Service): ServiceDefinition {
  const methods = service.methodsArray.map((method) => {
    method.resolve()
    const { resolvedRequestType: input, resolvedResponseType: output } = method
    const write = (type: protobuf.Type) => (value: object) =>
      Buffer.from(type.encode(type.fromObject(value)).finish())
    const read = (type: protobuf.Type) => (bytes: Buffer) =>
      type.toObject(type.decode(bytes), { defaults: true, longs: String })
    return [
      method.name,
      {
        path: `/${service.fullName.slice(1)}/${method.name}`,
        requestStream: method.requestStream === true,
        responseStream: method.responseStream === true,
        requestSerialize: write(input!),
        requestDeserialize: read(input!),
        responseSerialize: write(output!),
        responseDeserialize: read(output!),
      },
    ] as const
  })
  return Object.fromEntries(methods) as unknown as ServiceDefinition
}

/** What a unary method answers by. */
export type Answer = (error: object | null, value?: object, trailers?: Metadata) => void
export type Call = ServerUnaryCall<Record<string, unknown>, object>

/** An error with a status, and trailer fields beside it. */
export function callError(
  code: number,
  details: string,
  fields: Readonly<Record<string, string | Buffer>> = {},
): object {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value)
  return { code, details, metadata }
}
