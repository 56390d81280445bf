/** Several servers that take the same batches, with the names of APISIX. */
import type { TString } from 'typebox'
import { Type } from '../../../config/type.ts'
import { addressFinding, placed } from './fields.ts'

/** @param address the schema of one, by its description */
export const serverList = (address: (description: string) => TString) =>
  Type.Array(address('A server.'), {
    minItems: 1,
    description: 'The servers, of which one is taken at random.',
  })

/** The older way to name one beside the list. */
export const serverFields = (address: (description: string) => TString) => ({
  endpoint_addr: Type.Optional(address('The server; `endpoint_addrs` is meant to take its place.')),
  endpoint_addrs: Type.Optional(serverList(address)),
})

interface Servers {
  readonly endpoint_addr?: string
  readonly endpoint_addrs?: readonly string[]
}

export function serversFinding({ endpoint_addr, endpoint_addrs }: Servers): string | undefined {
  return addressFinding({ endpoint_addr, ...placed('endpoint_addrs', endpoint_addrs) })
}

/** Gives one of them with every call. */
export function anyServer({ endpoint_addr, endpoint_addrs }: Servers): () => string {
  const servers = endpoint_addrs ?? [endpoint_addr!]
  return () => servers[Math.floor(Math.random() * servers.length)]!
}
