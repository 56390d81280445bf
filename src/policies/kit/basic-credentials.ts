/** The pair of an `Authorization: Basic` field, one character a byte. */
export interface BasicCredentials {
  readonly user: string
  readonly password: string
}

/** Undefined: another scheme, no base64, or no colon. */
export type CredentialReader = (authorization: string) => BasicCredentials | undefined

/**
 * Reads RFC 7617 credentials, or the same under the name of another scheme. The password is all that follows the first
 * colon; padding may be missing.
 */
export function credentialReader(scheme: 'basic' | 'ldap'): CredentialReader {
  const form = new RegExp(`^${scheme}[ \\t]+([A-Za-z0-9+/]+={0,2})$`, 'i')
  return (authorization) => {
    const token = form.exec(authorization)?.[1]
    const text = token === undefined ? undefined : decode(token)
    if (text === undefined) return undefined
    const colon = text.indexOf(':')
    if (colon === -1) return undefined
    return { user: text.slice(0, colon), password: text.slice(colon + 1) }
  }
}

export const readBasicCredentials = credentialReader('basic')

/** `atob` gives one character a byte, as fields are read, and takes a third of the time of a Buffer. */
function decode(token: string): string | undefined {
  try {
    return atob(token)
  } catch {
    return undefined
  }
}
