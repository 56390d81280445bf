import net from 'node:net'
import tls from 'node:tls'
import type { Client } from 'ldapts'

export interface DirectoryOptions {
  readonly host: string
  readonly port: number
  /** From the beginning. */
  readonly tls: boolean
  /** Changes to TLS before anything is said (RFC 4511 4.14). Default: false. */
  readonly startTls?: boolean
  /** Check the certificate. */
  readonly verify: boolean
  /** Milliseconds for all of it, from looking up the name on. */
  readonly timeout: number
}

/** How an entry is looked for. */
export interface UserSearch {
  /** Name of the entry below which it stands. */
  readonly base: string
  /** `one`: right below it. Default: `sub`, at any depth. */
  readonly scope?: 'one' | 'sub'
  readonly attribute: string
  /** What the attribute says. */
  readonly value: string
  /** Who looks for it; absent: nobody in particular. */
  readonly as?: { readonly name: string; readonly password: string } | undefined
  /** Entries that the directory may find before it gives up. */
  readonly mostEntries: number
  /** Seconds; 0: as many as the directory takes. */
  readonly seconds: number
}

/** `refused`: the password is wrong, or nobody, or more than one, is meant. `broken`: the directory gave no answer to that. */
export type FoundUser = { readonly name: string } | { readonly refused: string } | { readonly broken: string }

/** Questions that are under way at once. */
const mostPending = 256
/** Bytes that the answers to a question may have. */
const largestAnswer = 64 * 1024

interface OpenSocket {
  current?: net.Socket
}

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
    return this.#inTime(
      async (client) => {
        await client.bind(name, password)
        return undefined
      },
      (reason) => reason,
    )
  }

  /** Looks for the one entry that fits, and binds as that entry with the password, over one connection. */
  async user(search: UserSearch, password: string): Promise<FoundUser> {
    if (password === '') return { refused: 'there is no password' }
    return this.#inTime(
      (client) => userOf(client, search, password),
      (broken) => ({ broken }),
    )
  }

  async #inTime<T>(ask: (client: Client) => Promise<T>, failed: (reason: string) => T): Promise<T> {
    if (this.#pending >= mostPending) return failed('too many questions are under way')
    this.#pending++
    const socket: OpenSocket = {}
    let timer: NodeJS.Timeout | undefined
    try {
      const late = new Promise<T>((resolve) => {
        const tooLate = () => resolve(failed('the directory does not answer in time'))
        timer = setTimeout(tooLate, this.#options.timeout)
      })
      return await Promise.race([late, this.#ask(ask, failed, socket)])
    } finally {
      this.#pending--
      clearTimeout(timer)
      socket.current?.destroy()
    }
  }

  async #ask<T>(
    ask: (client: Client) => Promise<T>,
    failed: (reason: string) => T,
    socket: OpenSocket,
  ): Promise<T> {
    try {
      const client = await this.#open(socket)
      if (this.#options.startTls === true) await client.startTLS()
      return await ask(client)
    } catch (error) {
      return failed(reasonOf(error))
    }
  }

  async #open(socket: OpenSocket): Promise<Client> {
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
            // One that is open already changes to TLS.
            ...(socket.current === undefined ? { port } : { socket: socket.current }),
            rejectUnauthorized: verify,
            ...(net.isIP(host) === 0 && { servername: host }),
          }),
        ),
    })
  }
}

async function userOf(client: Client, search: UserSearch, password: string): Promise<FoundUser> {
  const { EqualityFilter, InvalidCredentialsError, SizeLimitExceededError } = await import('ldapts')
  const { base, scope = 'sub', attribute, value, as, mostEntries, seconds } = search
  await client.bind(as?.name ?? '', as?.password ?? '')
  let names: string[]
  try {
    // The value goes into the filter as it is, with its length: no text is put together that it could end.
    const { searchEntries } = await client.search(base, {
      scope,
      derefAliases: 'always',
      filter: new EqualityFilter({ attribute, value }),
      sizeLimit: mostEntries,
      timeLimit: seconds,
      // No attributes (RFC 4511 4.5.1.8).
      attributes: ['1.1'],
    })
    names = searchEntries.map(({ dn }) => dn)
  } catch (error) {
    if (error instanceof SizeLimitExceededError) return { refused: 'more entries fit than may be found' }
    throw error
  }
  const [name, ...others] = names
  if (name === undefined) return { refused: 'no entry fits' }
  if (others.length > 0) return { refused: 'more than one entry fits' }
  try {
    await client.bind(name, password)
    return { name }
  } catch (error) {
    if (error instanceof InvalidCredentialsError) return { refused: reasonOf(error) }
    throw error
  }
}

/** Without what the directory says about it, which could come from the request. */
function reasonOf(error: unknown): string {
  const { name: kind = 'Error', code } = error as { name?: string; code?: unknown }
  return code === undefined ? kind : `${kind} (${String(code)})`
}
