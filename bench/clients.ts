import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A client application as the chains know it. */
export interface ClientApplication {
  id: string
  secret: string
  /** For key-auth. */
  key: string
}

/** How a scenario's requests say who they come from. */
export type Credentials = 'none' | 'basic' | 'key'

/** The applications that share the load; secrets differ so that none can be served from another's entry. */
export const clientApplications: readonly ClientApplication[] = Array.from({ length: 16 }, (_, index) => {
  const id = `orders-app-${index}`
  return { id, secret: digest(`secret of ${id}`), key: digest(`key of ${id}`) }
})

/** The header line of an application, without its line end; empty for anonymous traffic. */
export function credentialLine(application: ClientApplication, credentials: Credentials): string {
  switch (credentials) {
    case 'none':
      return ''
    case 'basic':
      return `Authorization: Basic ${Buffer.from(`${application.id}:${application.secret}`).toString('base64')}`
    case 'key':
      return `apikey: ${application.key}`
  }
}

/** Writes one line for each application where the load script finds it; gives the path. */
export function writeCredentialLines(folder: string, credentials: Credentials): string {
  const path = join(folder, `credentials-${credentials}.txt`)
  writeFileSync(path, clientApplications.map((it) => `${credentialLine(it, credentials)}\n`).join(''))
  return path
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
