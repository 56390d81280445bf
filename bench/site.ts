import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Launched, launch } from './launch.ts'
import { ownerLine } from './opponents/nginx.ts'

/** Where a bench runs: its folder, its cores and the upstream behind every gateway. */
export interface Site {
  folder: string
  cores: Cores
  upstreamPort: number
  /** For gateways whose clients speak TLS; files in PEM. */
  certificate: { certFile: string; keyFile: string }
  /** For the Node.js that runs sluice. */
  nodeArguments: readonly string[]
  stop(): Promise<void>
}

/** One core works for the gateway, the other for the load generator and the upstream. */
export interface Cores {
  gateway: string
  load: string
}

/** The answer of the upstream to everything but files: 152 bytes. */
export const upstreamBody =
  '{"orders":[{"id":18231,"state":"shipped","total":"149.90","currency":"EUR"},{"id":18244,"state":"open","total":"12.40","currency":"EUR"}],"next":"c7f1"}'

export const mebibyte = 1024 * 1024

/** Opens a temporary folder and the upstream. Everything is gone again after `stop`. */
export async function openSite(nodeArguments: readonly string[]): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const clear = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  process.once('exit', clear)
  const cores = availableParallelism() > 1 ? { gateway: '0', load: '1' } : { gateway: '0', load: '0' }
  const upstreamPort = await freePort()
  let upstream: Launched
  try {
    writeFiles(folder)
    upstream = await launch({
      name: 'upstream',
      folder: join(folder, 'upstream'),
      core: cores.load,
      command: ['nginx', '-p', folder, '-e', 'stderr', '-c', writeUpstream(folder, upstreamPort)],
      port: upstreamPort,
    })
  } catch (error) {
    clear()
    throw error
  }
  return {
    folder,
    cores,
    upstreamPort,
    certificate: makeCertificate(folder),
    nodeArguments,
    async stop() {
      await upstream.stop()
      clear()
    },
  }
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

/** In every certificate of the bench. */
export const certificateName = 'bench.test'

function makeCertificate(folder: string): Site['certificate'] {
  const certFile = join(folder, 'bench.crt')
  const keyFile = join(folder, 'bench.key')
  execFileSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ],
      ...['-subj', `/CN=${certificateName}`, '-addext', `subjectAltName=DNS:${certificateName}`],
      ...['-keyout', keyFile, '-out', certFile],
    ],
    { stdio: 'ignore' },
  )
  return { certFile, keyFile }
}

function writeFiles(folder: string): void {
  const files = join(folder, 'files')
  mkdirSync(files)
  for (const [name, size] of [
    ['object-1m.bin', mebibyte],
    ['object-1g.bin', 1024 * mebibyte],
  ] as const) {
    writeFileSync(join(files, name), '')
    truncateSync(join(files, name), size)
  }
}

function writeUpstream(folder: string, port: number): string {
  mkdirSync(join(folder, 'upstream'))
  const path = join(folder, 'upstream', 'nginx.conf')
  writeFileSync(
    path,
    `${ownerLine()}daemon off;
worker_processes 1;
pid ${folder}/upstream/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  client_max_body_size 0;
  client_body_temp_path ${folder}/upstream/body;
  keepalive_requests 10000000;
  keepalive_timeout 3600s;
  open_file_cache max=10 inactive=3600s;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { default_type application/json; return 200 '${upstreamBody}'; }
    location /files/ { root ${folder}; }
  }
}
`,
  )
  return path
}
