/** Why a request is not done; operations throw it. */
export class Problem extends Error {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Members of the answer beside status and message. */
  readonly more: Readonly<Record<string, unknown>>

  constructor(
    status: number,
    message: string,
    {
      headers = {},
      more = {},
    }: { headers?: Readonly<Record<string, string>>; more?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message)
    this.status = status
    this.headers = headers
    this.more = more
  }
}
