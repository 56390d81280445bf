/** Certificates made with openssl for one test run. None is ever kept: keys do not belong into a repository. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Certificate {
  /** PEM, with the chain below the authority. */
  cert: string
  key: string
  certFile: string
  keyFile: string
}

export interface CertificateOptions {
  /** Names, or addresses; the first is the common name. Default: none. */
  names?: readonly string[]
  /** Default: `ec`. */
  kind?: 'ec' | 'rsa'
  /** Days from now on; below zero: it has expired. Default: 2. */
  days?: number
  /** Default: the first name. */
  subject?: string
}

/** An authority with a folder for what it signs. */
export class Authority implements Certificate {
  readonly cert: string
  readonly key: string
  readonly certFile: string
  readonly keyFile: string
  readonly folder: string
  /** Of this authority and those below it, which share a folder. */
  private readonly names: { made: number }
  private readonly chain: string

  constructor(name = 'Test Authority', above?: Authority) {
    this.folder = above?.folder ?? mkdtempSync(join(tmpdir(), 'sluice-certificates-'))
    this.names = above?.names ?? { made: 0 }
    const id = `ca-${this.names.made++}`
    this.certFile = join(this.folder, `${id}.crt`)
    this.keyFile = join(this.folder, `${id}.key`)
    makeKey('ec', this.keyFile)
    const subject = `/O=Sluice tests/CN=${name}`
    if (above === undefined) {
      openssl(
        'req',
        '-x509',
        '-new',
        '-key',
        this.keyFile,
        '-subj',
        subject,
        '-days',
        '2',
        '-out',
        this.certFile,
      )
    } else {
      sign(this, above, subject, 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n', 2)
    }
    this.cert = readFileSync(this.certFile, 'utf8')
    this.key = readFileSync(this.keyFile, 'utf8')
    this.chain = above === undefined ? '' : this.cert + above.chain
  }

  issue({ names = [], kind = 'ec', days = 2, subject }: CertificateOptions = {}): Certificate {
    const id = `leaf-${this.names.made++}`
    const certFile = join(this.folder, `${id}.crt`)
    const keyFile = join(this.folder, `${id}.key`)
    makeKey(kind, keyFile)
    const alternatives = names
      .map((name) => (/^[\d.]+$|:/.test(name) ? `IP:${name}` : `DNS:${name}`))
      .join(',')
    const extensions = alternatives === '' ? '' : `subjectAltName=${alternatives}\n`
    sign(
      { certFile, keyFile },
      this,
      subject ?? `/O=Sluice tests/CN=${names[0] ?? 'nobody'}`,
      extensions,
      days,
    )
    const cert = readFileSync(certFile, 'utf8') + this.chain
    writeFileSync(certFile, cert)
    return { cert, key: readFileSync(keyFile, 'utf8'), certFile, keyFile }
  }

  /** Removes everything that it made. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** PEM as a block of YAML, behind `key: |`. */
export const pemBlock = (pem: string, indent: number): string =>
  `|\n${pem
    .trimEnd()
    .split('\n')
    .map((line) => ' '.repeat(indent) + line)
    .join('\n')}`

function makeKey(kind: 'ec' | 'rsa', file: string): void {
  const options = kind === 'ec' ? ['EC', 'ec_paramgen_curve:P-256'] : ['RSA', 'rsa_keygen_bits:2048']
  openssl('genpkey', '-algorithm', options[0]!, '-pkeyopt', options[1]!, '-out', file)
}

function sign(
  { certFile, keyFile }: { certFile: string; keyFile: string },
  above: Authority,
  subject: string,
  extensions: string,
  days: number,
): void {
  const request = `${certFile}.csr`
  const extensionFile = `${certFile}.ext`
  writeFileSync(extensionFile, extensions)
  openssl('req', '-new', '-key', keyFile, '-subj', subject, '-out', request)
  if (days < 0) {
    signExpired(above, request, extensionFile, certFile)
    return
  }
  openssl(
    ...['x509', '-req', '-in', request, '-CA', above.certFile, '-CAkey', above.keyFile],
    ...['-CAcreateserial', '-extfile', extensionFile, '-out', certFile, '-days', String(days)],
  )
}

/** `openssl x509` of version 3.0 knows no dates; `openssl ca` does. */
function signExpired(above: Authority, request: string, extensionFile: string, certFile: string): void {
  const config = `${certFile}.cnf`
  const database = `${certFile}.db`
  writeFileSync(database, '')
  writeFileSync(`${database}.attr`, '')
  writeFileSync(
    config,
    `[ca]\ndefault_ca=d\n[d]\ndatabase=${database}\nnew_certs_dir=${above.folder}\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\norganizationName=optional\n`,
  )
  openssl(
    ...[
      'ca',
      '-batch',
      '-config',
      config,
      '-in',
      request,
      '-cert',
      above.certFile,
      '-keyfile',
      above.keyFile,
    ],
    ...['-startdate', '20200101000000Z', '-enddate', '20200102000000Z', '-notext'],
    ...['-extfile', extensionFile, '-out', certFile],
  )
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
