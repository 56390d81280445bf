/** The API behind the examples: users held in memory. Every answer names the replica that gave it. */
import { createServer, type Server } from 'node:http'

const users = [
  { id: 1, name: 'Ada Lovelace', role: 'admin' },
  { id: 2, name: 'Grace Hopper', role: 'author' },
  { id: 3, name: 'Katherine Johnson', role: 'reader' },
]

export function usersApi(replica: string): Server {
  return createServer((request, response) => {
    const { status, body } = answer(request.method, request.url)
    const text = `${JSON.stringify({ ...body, served_by: replica })}\n`
    response.writeHead(status, {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(text),
    })
    response.end(text)
    request.resume()
  })
}

function answer(method = '', target = ''): { status: number; body: object } {
  const path = target.replace(/\?.*/, '')
  if (path === '/users')
    return method === 'POST' ? { status: 201, body: { id: 4 } } : { status: 200, body: { users } }

  const user = users.find(({ id }) => path === `/users/${id}`)
  return user === undefined ? { status: 404, body: { error: 'no such user' } } : { status: 200, body: user }
}
