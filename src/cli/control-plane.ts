import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { type CliIo, type Command, CommandError, exitCode, UsageError } from './command.ts'

export const command: Command = {
  name: 'control-plane',
  summary: 'Run a control plane that signs configuration for a fleet of gateways',
  usage: 'sluice control-plane --data DIR [--host H] [--name NAME]... [--rotate-keys [--revoke-key ID]...]',
  options: [
    { flags: '--data DIR', text: 'Keys and database; made on the first start (SLUICE_CONTROL_PLANE_DATA)' },
    { flags: '--host HOST', text: 'Address to listen on (default: 127.0.0.1)' },
    { flags: '--port PORT', text: 'For registrations and the APIs (default: 7443)' },
    { flags: '--sync-port PORT', text: 'For gateways with their certificates (default: 7943)' },
    { flags: '--name NAME', text: 'Host name under which gateways find it; repeatable (default: localhost)' },
    { flags: '--rotate-keys', text: 'Make a new signing key and document of keys, and end' },
    { flags: '--revoke-key ID', text: 'With --rotate-keys: a signing key that is lost; repeatable' },
    { flags: '--root-key FILE', text: 'With --rotate-keys: the root key (default: root.key in DIR)' },
  ],
  examples: [
    'sluice control-plane --data /var/lib/sluice-control-plane',
    'sluice control-plane --data DIR --host 0.0.0.0 --name control.example.com',
    'SLUICE_ROOT_PASSPHRASE_FILE=root.txt sluice control-plane --data DIR --rotate-keys',
  ],

  async run(argv, io) {
    const { values } = parseArgs({
      args: argv,
      options: {
        data: { type: 'string' },
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '7443' },
        'sync-port': { type: 'string', default: '7943' },
        name: { type: 'string', multiple: true, default: [] },
        'rotate-keys': { type: 'boolean', default: false },
        'revoke-key': { type: 'string', multiple: true, default: [] },
        'root-key': { type: 'string' },
      },
    })
    const named = values.data ?? io.env.SLUICE_CONTROL_PLANE_DATA
    if (!named) throw new UsageError('--data names the folder of the control plane')
    const data = resolve(io.cwd, named)
    const passphrase = await secretOf(io, 'SLUICE_CONTROL_PLANE_PASSPHRASE')
    if (values['rotate-keys']) {
      return rotate(io, data, passphrase, { revoke: values['revoke-key'], root: values['root-key'] })
    }
    // Connections in thousands need the memory; what a request leaves behind needs no room to grow in, and a poll that
    // waited for half a minute is old when it ends: it is collected before the heap has doubled.
    setFlagsFromString('--semi-space-growth-factor=1')
    setFlagsFromString('--heap-growing-percent=20')
    const { serveControlPlane } = await import('./serve-control-plane.ts')
    return serveControlPlane(io, {
      data,
      host: values.host,
      port: portIn(values.port),
      syncPort: portIn(values['sync-port']),
      names: values.name,
      ...(passphrase !== undefined && { passphrase }),
    })
  },
}

/** What a variable says, or the file that it names with `_FILE`. */
async function secretOf(io: CliIo, name: string): Promise<string | undefined> {
  const file = io.env[`${name}_FILE`]
  return file ? (await readFile(resolve(io.cwd, file), 'utf8')).trim() : io.env[name] || undefined
}

function portIn(text: string): number {
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65_535) return port
  throw new UsageError(`'${text}' is no port`)
}

async function rotate(
  io: CliIo,
  data: string,
  passphrase: string | undefined,
  { revoke, root }: { revoke: readonly string[]; root: string | undefined },
): Promise<number> {
  const rootPassphrase = await secretOf(io, 'SLUICE_ROOT_PASSPHRASE')
  if (rootPassphrase === undefined) {
    throw new UsageError('SLUICE_ROOT_PASSPHRASE, or SLUICE_ROOT_PASSPHRASE_FILE, opens the root key')
  }
  const { hasKeys, PrivateFolder, rotateKeys } = await import('../control-plane/index.ts')
  const folder = new PrivateFolder(data)
  if (!hasKeys(folder)) throw new CommandError(`there is no control plane in ${data}`)
  const { version, keys, expires } = rotateKeys({
    folder,
    now: Math.floor(Date.now() / 1000),
    rootPassphrase,
    revoke,
    ...(passphrase !== undefined && { passphrase }),
    ...(root !== undefined && { root: await readFile(resolve(io.cwd, root), 'utf8') }),
  })
  io.stdout.write(
    `Document of keys ${version} with ${keys.length} keys is in place until ${new Date(expires * 1000).toISOString()}.\nThe control plane uses it from its next start on.\n`,
  )
  return exitCode.ok
}
