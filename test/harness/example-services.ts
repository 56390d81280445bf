/** What the examples of policies talk to, in this process: one HTTP server for all services, and a taker of lines. */
import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'

export interface ExampleServices {
  readonly servicePort: number
  readonly sinkPort: number
  /** An access token of the identity provider among the services. */
  readonly accessToken: string
  /** The account of a service at Google, as its JSON file has it. */
  readonly googleAccount: string
  stop(): Promise<void>
}

const modelAnswer = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  model: 'gpt-4o',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello.' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
})

export async function startExampleServices(): Promise<ExampleServices> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const server = http.createServer((incoming, response) => {
    incoming.resume().once('end', () => {
      response.setHeader('Content-Type', 'application/json')
      response.setHeader('X-User', 'alice')
      response.end(answerOf(incoming.url!, issuerOf(server), publicKey))
    })
  })
  const takers = new Set<net.Socket>()
  const lines = net.createServer((socket) => {
    takers.add(socket)
    socket
      .resume()
      .on('error', () => {})
      .once('close', () => takers.delete(socket))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  await once(lines.listen(0, '127.0.0.1'), 'listening')
  const sinkPort = (lines.address() as AddressInfo).port
  const datagrams: UdpSocket = createSocket('udp4').on('message', () => {})
  datagrams.bind(sinkPort, '127.0.0.1')
  await once(datagrams, 'listening')

  const { port: servicePort } = server.address() as AddressInfo
  return {
    servicePort,
    sinkPort,
    accessToken: accessToken(issuerOf(server), privateKey),
    googleAccount: JSON.stringify({
      client_email: 'gateway@shop.example.com',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      project_id: 'shop',
      token_uri: `${issuerOf(server)}/token`,
      entries_uri: `${issuerOf(server)}/entries`,
    }),
    async stop() {
      server.closeAllConnections()
      for (const socket of takers) socket.destroy()
      datagrams.close()
      await Promise.all([server, lines].map((one) => new Promise((resolve) => one.close(resolve))))
    },
  }
}

function issuerOf(server: http.Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function answerOf(target: string, issuer: string, publicKey: KeyObject): string {
  switch (target.split('?')[0]) {
    case '/v1/chat/completions':
      return modelAnswer
    case '/':
      return '{"ResultList":[{"Labels":[],"Toxicity":0.01}],"Data":{"RiskLevel":"none"}}'
    case '/embeddings':
      return '{"data":[{"embedding":[0.5,-0.25]}]}'
    case '/introspect':
      return JSON.stringify({ active: true, client_id: 'orders-app', scope: 'orders', exp: soon() })
    case '/v1/data/shop':
      return '{"result":{"allow":true}}'
    case '/.well-known/openid-configuration':
      return JSON.stringify({
        issuer,
        jwks_uri: `${issuer}/jwks`,
        introspection_endpoint: `${issuer}/introspect`,
      })
    case '/jwks':
      return JSON.stringify({
        keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256', use: 'sig' }],
      })
    case '/token':
      return '{"access_token":"of-google","token_type":"Bearer","expires_in":3600}'
    default:
      return '{}'
  }
}

function accessToken(issuer: string, key: KeyObject): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { iss: issuer, aud: 'gateway', sub: 'alice', exp: soon() }
  const signed = `${encode({ alg: 'RS256', kid: 'one' })}.${encode(claims)}`
  return `${signed}.${createSign('sha256').update(signed).sign(key, 'base64url')}`
}

/** An hour from now, in seconds. */
function soon(): number {
  return Math.floor(Date.now() / 1000) + 3600
}
