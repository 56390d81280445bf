import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Site } from '../site.ts'
import type { Opponent } from './opponent.ts'
import { missingProgram } from './program.ts'

/**
 * The unit of every ratio: nginx that forwards and does nothing else, whatever the others have to do.
 * Buffering to disk is off, which spares it writes that the others do not make either.
 */
export const nginx: Opponent = {
  name: 'nginx',
  bare: true,
  native: true,
  missing: () => missingProgram('nginx'),
  /** Debian's has no module for streams. */
  does: (work) => !work.tcp,

  prepare({ site, folder, port, work }) {
    const path = join(folder, 'nginx.conf')
    writeFileSync(
      path,
      `${ownerLine()}daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  client_max_body_size 0;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  keepalive_requests 10000000;
  keepalive_timeout 3600s;
  upstream service {
    server 127.0.0.1:${site.upstreamPort};
    keepalive 256;
    keepalive_requests 10000000;
  }
  server {
    listen 127.0.0.1:${port} ${work.tls ? 'ssl http2 ' : ''}backlog=4096;
${work.tls ? tlsLines(site) : ''}    location / {
      proxy_pass http://service;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_max_temp_file_size 0;
    }
  }
}
`,
    )
    return ['nginx', '-p', folder, '-e', 'stderr', '-c', path]
  },
}

const tlsLines = ({ certificate }: Site) => `    ssl_certificate ${certificate.certFile};
    ssl_certificate_key ${certificate.keyFile};
    ssl_protocols TLSv1.2 TLSv1.3;
    http2_max_concurrent_streams 128;
`

/** Workers of a root nginx would drop to a user that cannot read the bench's private folder. */
export function ownerLine(): string {
  return process.getuid?.() === 0 ? 'user root;\n' : ''
}
