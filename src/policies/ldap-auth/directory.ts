import net from 'node:net'
import tls from 'node:tls'
import type { Client } from 'ldapts'

export interface DirectoryOptions {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  /** Check the certificate. */
  readonly verify: boolean
  /** Milliseconds for all of it, from looking up the name on. */
  readonly timeout: number
}

/** Binds that are under way at once. */
const mostPending = 256
/** Bytes that an answer to a bind may have. */
const largestAnswer = 64 * 1024

/** An LDAP server that says whether passwords are right. Each question has a connection of its own. */
export class Directory {
  readonly #options: DirectoryOptions
  #pending = 0

  constructor(options: DirectoryOptions) {
    this.#options = options
  }

  /**
   * A simple bind (RFC 4513 5.1.3).
   * @returns undefined when it succeeds, else why not; nothing in it comes from the request
   */
  async refusal(name: string, password: string): Promise<string | undefined> {
    // Without a password a bind is anonymous, and succeeds for any name (RFC 4513 5.1.2).
    if (password === '') return 'there is no password'
    if (this.#pending >= mostPending) return 'too many binds are under way'
    this.#pending++
    const socket: { current?: net.Socket } = {}
    let timer: NodeJS.Timeout | undefined
    try {
      const late = new Promise<string>((resolve) => {
        timer = setTimeout(resolve, this.#options.timeout, 'the directory does not answer in time')
      })
      return await Promise.race([late, this.#bind(name, password, socket)])
    } finally {
      this.#pending--
      clearTimeout(timer)
      socket.current?.destroy()
    }
  }

  async #bind(name: string, password: string, socket: { current?: net.Socket }): Promise<string | undefined> {
    try {
      const client = await this.#open(socket)
      await client.bind(name, password)
      return undefined
    } catch (error) {
      const { name: kind = 'Error', code } = error as { name?: string; code?: unknown }
      return code === undefined ? kind : `${kind} (${String(code)})`
    }
  }

  async #open(socket: { current?: net.Socket }): Promise<Client> {
    const { Client } = await import('ldapts')
    const { host, port, tls: secure, verify, timeout } = this.#options
    const watch = <T extends net.Socket>(opened: T): T => {
      socket.current = opened
      opened.on('data', () => {
        if (opened.bytesRead > largestAnswer) opened.destroy()
      })
      return opened
    }
    return new Client({
      url: `${secure ? 'ldaps' : 'ldap'}://directory`,
      timeout,
      connectTimeout: timeout,
      createConnection: () => watch(net.connect({ host, port })),
      createSecureConnection: () =>
        watch(
          tls.connect({
            host,
            port,
            rejectUnauthorized: verify,
            ...(net.isIP(host) === 0 && { servername: host }),
          }),
        ),
    })
  }
}
