import { type Agent, request } from 'node:https'

export interface Question {
  url: string
  method?: string
  body?: unknown
  headers?: Record<string, string>
  agent: Agent
}

export interface Answer {
  status: number
  body: Buffer
}

/** One request, over a connection of the agent. */
export function ask({ url, method = 'GET', body, headers = {}, agent }: Question): Promise<Answer> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        method,
        agent,
        headers: {
          ...(text !== undefined && {
            'Content-Type': 'application/json',
            'Content-Length': Buffer.byteLength(text),
          }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode!, body: Buffer.concat(chunks) }))
      },
    )
    sent.on('error', reject)
    sent.end(text)
  })
}
