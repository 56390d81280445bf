/** What the Admin API answers. */

export interface Answer {
  status: number
  /** Absent: no body. Text goes out as it is, anything else as JSON. */
  body?: unknown
  headers?: Readonly<Record<string, string>>
}

/** JSON that was made already. */
export class JsonText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export const failure = (status: number, message: unknown): Answer => ({
  status,
  body: { error_msg: message },
})

export const keyNotFound: Answer = { status: 404, body: { message: 'Key not found' } }

/** The body as it goes out; APISIX ends what it encodes with a line feed. */
export function bodyText({ body }: Answer): string {
  if (body === undefined) return ''
  if (typeof body === 'string') return body
  return `${body instanceof JsonText ? body.text : JSON.stringify(body)}\n`
}
