import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PolicyName } from '../../src/policies/index.ts'
import type { Site } from '../site.ts'

/** What comes nearest to the example of a policy in HAProxy's own directives, for those that have it. */
const directives: { readonly [name in PolicyName]?: string } = {
  'basic-auth': 'http-request auth realm basic unless { http_auth(consumers) }',
  cors: `http-response set-header Access-Control-Allow-Origin "https://app.example.com"
  http-response set-header Access-Control-Allow-Methods "GET,POST"
  http-response set-header Access-Control-Max-Age 600
  http-response add-header Vary Origin`,
  'fault-injection': 'http-request return status 503 if { req.hdr(x-chaos) -m str yes }',
  gzip: `compression algo gzip
  compression type application/json`,
  'ip-restriction': 'http-request deny unless { src 127.0.0.0/8 10.0.0.0/8 2001:db8::/32 }',
  'jwt-auth':
    'http-request deny deny_status 401 unless { http_auth_bearer,jwt_verify("HS256","a-secret-of-at-least-thirty-two-bytes") -m int 1 }',
  'key-auth': `http-request deny deny_status 401 unless { req.hdr(apikey) -m str key-of-alice }
  http-request del-header apikey`,
  'limit-count': `stick-table type ip size 10k expire 2m store http_req_rate(60s)
  http-request track-sc0 src
  http-request set-var(txn.rate) sc_http_req_rate(0)
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 100000000 }
  http-response set-header X-RateLimit-Limit 100000000
  http-response set-header X-RateLimit-Remaining %[int(100000000),sub(txn.rate)]`,
  'proxy-rewrite': `http-request replace-path ^/api/(.*) /v2/\\1
  http-request set-header X-Gateway haproxy
  http-request del-header X-Debug`,
  'real-ip': 'http-request set-src hdr(x-forwarded-for) if { src 127.0.0.0/8 }',
  'referer-restriction':
    'http-request deny if { req.hdr(referer) -m found } !{ req.hdr(referer),field(3,/) -m end .example.com }',
  'request-id': `http-request set-var(txn.id) uuid()
  http-request set-header X-Request-Id %[var(txn.id)]
  http-response set-header X-Request-Id %[var(txn.id)]`,
  'response-rewrite': `http-response set-header X-Served-By haproxy
  http-response del-header Server`,
  'traffic-split': 'use_backend service if { req.hdr(x-beta) -m str yes }',
  'ua-restriction': 'http-request deny if { req.hdr(user-agent) -m reg badbot|^curl/[0-6]\\. }',
  'uri-blocker': 'http-request deny if { url -m reg \\.env$|^/admin/|wp-login\\.php }',
}

export function hasDirectives(name: PolicyName): boolean {
  return directives[name] !== undefined
}

/** Writes its configuration, with a port for each policy and one without any; gives the command line. */
export function haproxyWithPolicies(
  site: Site,
  folder: string,
  plainPort: number,
  ports: ReadonlyMap<PolicyName, number>,
): readonly string[] {
  const path = join(folder, 'haproxy.cfg')
  const frontend = (name: string, port: number, lines: string) => `frontend ${name}
  bind 127.0.0.1:${port} backlog 4096
  ${lines}
  default_backend service
`
  writeFileSync(
    path,
    `global
  nbthread 1
  maxconn 4000
defaults
  mode http
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
userlist consumers
  user alice insecure-password wonderland
${frontend('plain', plainPort, '')}${Array.from(ports, ([name, port]) => frontend(name, port, directives[name]!)).join('')}backend service
  server upstream 127.0.0.1:${site.upstreamPort}
`,
  )
  return ['haproxy', '-db', '-f', path]
}
