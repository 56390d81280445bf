/** A real LDAP server (slapd of OpenLDAP) on a free port, with its entries in a folder of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Certificate } from './certificates.ts'
import { freePort, listening, stopProcess } from './process.ts'

// Servers live in /usr/sbin, which an ordinary user's PATH may lack.
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }

/** Why tests with it are skipped; false: it is there. */
export const withoutLdap = isInstalled() ? false : 'slapd is not installed'

function isInstalled(): boolean {
  return env.PATH.split(':').some((folder) => existsSync(join(folder, 'slapd')))
}

const suffix = 'dc=example,dc=org'

export class LdapServer {
  readonly port: number
  /** Where it speaks TLS from the beginning; only with a certificate. */
  readonly tlsPort: number
  readonly #folder: string
  readonly #child: ChildProcess

  private constructor(port: number, tlsPort: number, folder: string, child: ChildProcess) {
    this.port = port
    this.tlsPort = tlsPort
    this.#folder = folder
    this.#child = child
  }

  /** @param users Passwords by the name of the user, as it stands in `cn=...,ou=users,dc=example,dc=org` */
  static async start(
    users: Readonly<Record<string, string>>,
    certificate?: Certificate,
  ): Promise<LdapServer> {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-slapd-'))
    const config = join(folder, 'slapd.conf')
    const lines = [
      'include /etc/ldap/schema/core.schema',
      'modulepath /usr/lib/ldap',
      'moduleload back_mdb',
      `pidfile ${folder}/slapd.pid`,
      ...(certificate
        ? [`TLSCertificateFile ${certificate.certFile}`, `TLSCertificateKeyFile ${certificate.keyFile}`]
        : []),
      'database mdb',
      `suffix "${suffix}"`,
      `directory ${folder}`,
      'maxsize 10485760',
    ]
    await writeFile(config, `${lines.join('\n')}\n`)
    const entries = [
      `dn: ${suffix}\nobjectClass: organization\nobjectClass: dcObject\no: example\n`,
      `dn: ou=users,${suffix}\nobjectClass: organizationalUnit\n`,
      ...Object.entries(users).map(
        ([name, password]) =>
          `dn:: ${base64(`cn=${name},ou=users,${suffix}`)}\nobjectClass: person\nsn: x\nuserPassword:: ${base64(password)}\n`,
      ),
    ]
    await writeFile(join(folder, 'entries.ldif'), entries.join('\n'))
    execFileSync('slapadd', ['-f', config, '-l', join(folder, 'entries.ldif')], { env, stdio: 'pipe' })
    const [port, tlsPort] = [await freePort(), await freePort()]
    const addresses = `ldap://127.0.0.1:${port}${certificate ? ` ldaps://127.0.0.1:${tlsPort}` : ''}`
    const args = ['-f', config, '-h', addresses, '-d', '0']
    const child = spawn('slapd', args, { env, stdio: 'ignore' })
    await listening(port, child)
    return new LdapServer(port, tlsPort, folder, child)
  }

  async stop(): Promise<void> {
    await stopProcess(this.#child)
    await rm(this.#folder, { recursive: true, force: true })
  }
}

const base64 = (text: string) => Buffer.from(text).toString('base64')
