/** The slots of one upstream in the health table, as the control thread tells them to data threads. */
export interface UpstreamSlots {
  /** Key of the upstream. */
  upstream: string
  /** Of the upstream itself. */
  slot: number
  /** By address and port, which is that of probes where they have one of their own. */
  endpoints: (readonly [address: string, port: number, slot: number])[]
}
