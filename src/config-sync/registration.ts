/**
 * What a gateway knows of its control plane: who it is there, whom it trusts, where to ask. As a file it has the form of
 * Flex Gateway's `registration.yaml`: a Configuration, and a Secret with certificate and key.
 */
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { formatPath } from '../config/problem.ts'
import { checkSchema } from '../config/schema.ts'
import { type Static, Type } from '../config/type.ts'
import { readYaml, writeYaml } from '../config/yaml-text.ts'
import { createPrivateFile, makePrivateFolder, replacePrivateFile } from './private-file.ts'
import { type PublicKey, publicKeySchema } from './protocol/keys.ts'
import { certificateFile, registrationFile } from './registration-search.ts'

export interface Registration {
  /** UUID. */
  id: string
  name: string
  /** False: the gateway runs its own files. */
  connected: boolean
  region: string
  organization: string
  environment: string
  group: { id: string; name: string }
  /** Base URL for registration and renewal by credentials. */
  platform: string
  /** Base URLs for sync. */
  sync: readonly string[]
  /** PEM. */
  ca: string
  roots: readonly PublicKey[]
  /** PEM. */
  certificate: string
  /** PEM. */
  key: string
  /** 32 bytes in base64url, that what is kept is authenticated with. */
  storeKey: string
  /** Name that the control plane's certificate is for, where it is not that of the URL. */
  serverName?: string
  /** Sent beside the certificate. */
  token?: string
}

export class RegistrationError extends Error {
  override readonly name = 'RegistrationError'
}

const apiVersion = 'gateway.mulesoft.com/v1alpha1'
const secretName = 'flex-registration'
const text = () => Type.String({ minLength: 1 })
const more = { additionalProperties: true }

const connectionSchema = Type.Object(
  {
    agentId: text(),
    region: text(),
    certificateRef: Type.Object({ kind: Type.Literal('Secret'), name: text() }),
    assetName: text(),
    anypoint: text(),
    sluice: Type.Object({
      connected: Type.Boolean(),
      // Empty for one that was made from variables of the environment, which do not tell them.
      organization: Type.String(),
      environment: Type.String(),
      group: Type.Object({ id: text(), name: text() }),
      sync: Type.Array(Type.String({ pattern: '^https://', 'x-form': 'an https:// URL' }), { minItems: 1 }),
      storeKey: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
      roots: Type.Array(publicKeySchema, { minItems: 1 }),
      ca: text(),
    }),
  },
  more,
)
type PlatformConnection = Static<typeof connectionSchema>

const secretSchema = Type.Object({ 'tls.crt': text(), 'tls.key': text() }, more)

export const newStoreKey = (): string => randomBytes(32).toString('base64url')

/**
 * Reads a registration, and the file with its certificate where that is one of its own.
 * @throws RegistrationError whose message says what is wrong and what to do
 */
export async function readRegistration(path: string): Promise<Registration> {
  const documents = await documentsOf(path)
  const configuration = documents.find(({ kind }) => kind === 'Configuration')
  const connection = (configuration?.spec as { platformConnection?: unknown } | undefined)?.platformConnection
  if (connection === undefined) {
    throw new RegistrationError(
      `${path} holds no registration: it has no Configuration with spec.platformConnection`,
    )
  }
  const found = checked(connectionSchema, connection, path, 'spec.platformConnection')
  const wanted = found.certificateRef.name
  const isSecret = ({ kind, metadata }: Manifest) => kind === 'Secret' && metadata?.name === wanted
  const secret =
    documents.find(isSecret) ?? (await documentsOf(join(dirname(path), certificateFile))).find(isSecret)
  if (secret === undefined)
    throw new RegistrationError(`${path} refers to the Secret ${wanted}, which is not there`)
  const pair = checked(secretSchema, secret.spec, path, `the Secret ${wanted}`)
  return assemble(found, pair['tls.crt'], pair['tls.key'], path)
}

function assemble(
  connection: PlatformConnection,
  certificate: string,
  key: string,
  path: string,
): Registration {
  assertPair(certificate, key, path)
  const { agentId, region, assetName, anypoint, sluice } = connection
  return {
    ...sluice,
    id: agentId,
    name: assetName,
    region,
    platform: anypoint,
    certificate,
    key,
  }
}

/** @throws RegistrationError */
export function assertPair(certificate: string, key: string, source: string): void {
  try {
    if (new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) return
  } catch {
    throw new RegistrationError(`${source}: the certificate or its key is not in PEM`)
  }
  throw new RegistrationError(`${source}: the key does not belong to the certificate`)
}

export const certificateOf = ({ certificate }: Pick<Registration, 'certificate'>): X509Certificate =>
  new X509Certificate(certificate)

/** Writes a new registration into a folder. @throws RegistrationError when the folder holds one; it is left alone */
export async function writeRegistration(
  folder: string,
  registration: Registration,
  split: boolean,
): Promise<string[]> {
  const files = filesOf(registration, split)
  const written: string[] = []
  // The certificate first: a registration that is there is complete.
  for (const [name, content] of files.toReversed()) {
    const path = join(folder, name)
    try {
      await createPrivateFile(path, content)
    } catch (error) {
      throw new RegistrationError(unwritable(path, error as NodeJS.ErrnoException))
    }
    written.unshift(path)
  }
  return written
}

/** Puts a renewed certificate in the place of the one that was there. */
export async function replaceCertificate(path: string, registration: Registration): Promise<void> {
  const split = (await documentsOf(path)).every(({ kind }) => kind !== 'Secret')
  for (const [name, content] of filesOf(registration, split).toReversed()) {
    const file = name === registrationFile ? basename(path) : name
    await replacePrivateFile(join(dirname(path), file), content)
  }
}

/** A certificate that was renewed, beside a registration that cannot be written. */
export async function saveRenewed(path: string, registration: Registration): Promise<void> {
  await makePrivateFolder(dirname(path))
  await replacePrivateFile(path, filesOf(registration, false)[0]![1])
}

/** The registration, with the certificate of the other file where that is its own and lasts longer. */
export async function withRenewed(registration: Registration, path: string): Promise<Registration> {
  const renewed = await readRegistration(path).catch(() => undefined)
  if (renewed === undefined || renewed.id !== registration.id) return registration
  const lastsLonger = certificateOf(renewed).validToDate > certificateOf(registration).validToDate
  if (!lastsLonger) return registration
  return { ...registration, certificate: renewed.certificate, key: renewed.key, ca: renewed.ca }
}

export function alreadyRegistered(path: string): string {
  return `${path} exists already, and a registration is never written over another: name another folder with --output-directory`
}

function unwritable(path: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === 'EEXIST') return alreadyRegistered(path)
  if (code === 'ENOENT')
    return `the folder of ${path} does not exist: make it, or name another with --output-directory`
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return `${path} cannot be written (${code}): run the command as a user who may write there, or name another folder with --output-directory`
  }
  return `${path} cannot be written: ${message}`
}

function filesOf(registration: Registration, split: boolean): [name: string, content: string][] {
  const { id, name, region, platform, certificate, key } = registration
  const { connected, organization, environment, group, sync, storeKey, roots, ca } = registration
  const configuration = {
    apiVersion,
    kind: 'Configuration',
    metadata: { name: 'registration' },
    spec: {
      platformConnection: {
        agentId: id,
        region,
        certificateRef: { kind: 'Secret', name: secretName },
        assetName: name,
        anypoint: platform,
        sluice: { connected, organization, environment, group, sync, storeKey, roots, ca },
      },
    },
  }
  const secret = {
    apiVersion,
    kind: 'Secret',
    metadata: { name: secretName },
    spec: { 'tls.crt': certificate, 'tls.key': key },
  }
  const [first, second] = [writeYaml(configuration), writeYaml(secret)]
  if (!split) return [[registrationFile, `---\n${first}---\n${second}`]]
  return [
    [registrationFile, `---\n${first}`],
    [certificateFile, `---\n${second}`],
  ]
}

interface Manifest {
  kind?: unknown
  metadata?: { name?: unknown }
  spec?: unknown
}

async function documentsOf(path: string): Promise<Manifest[]> {
  const source = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new RegistrationError(`there is no registration at ${path}`)
    throw new RegistrationError(`${path} cannot be read (${error.code}): run the command as its owner`)
  })
  const { values, problems } = readYaml(source)
  if (problems.length > 0) throw new RegistrationError(`${path} is not well-formed YAML`)
  if (values.length === 0) throw new RegistrationError(`${path} is empty`)
  return values.filter((value) => typeof value === 'object' && value !== null) as Manifest[]
}

function checked<Schema extends Parameters<typeof checkSchema>[0]>(
  schema: Schema,
  value: unknown,
  path: string,
  place: string,
): Static<Schema> {
  const [problem] = checkSchema(schema, value)
  if (problem === undefined) return value as Static<Schema>
  const where = [place, formatPath(problem.path)].filter(Boolean).join('.')
  throw new RegistrationError(`${path}: ${where}: ${problem.message}`)
}
