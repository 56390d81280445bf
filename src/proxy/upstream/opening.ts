/** What a connection to an endpoint is opened for, beside its address. */
export interface Opening {
  /** That the server is asked by in TLS; empty without. */
  readonly serverName: string
  /** Who the client is, in the PROXY protocol: it stands in front of everything. Null: the endpoint does not want to know. */
  readonly header: Buffer | null
  /** Both in one: connections that differ in it are never mixed. */
  readonly purpose: string
}

export function openingFor(serverName: string, header: Buffer | null): Opening {
  const purpose = header === null ? serverName : `${serverName} ${header.toString('latin1')}`
  return { serverName, header, purpose }
}

/** In the clear, told to nobody. */
export const plainOpening = openingFor('', null)
