/** Reads as much of a GraphQL document as routing and limits need; the whole of it has to be well-formed (specification of October 2021, section 2). */

/** A single value, as it is written; `variable`: it is the name of one. */
export interface GraphqlScalar {
  readonly kind: 'literal' | 'variable'
  readonly text: string
}

/** What a name stands for: an argument, or a variable that has a default. Lists, maps and block strings are not kept. */
export interface GraphqlBinding {
  readonly name: string
  readonly value: GraphqlScalar
}

/** One thing that is selected, in the order of the document. */
export interface GraphqlSelection {
  /** Of a field, or of the fragment that is spread here; empty for an inline fragment. */
  readonly name: string
  readonly kind: 'field' | 'spread' | 'inline'
  /** Of an inline fragment: the type that it is for; empty when it names none. */
  readonly on: string
  readonly args: readonly GraphqlBinding[]
  readonly selections: readonly GraphqlSelection[]
}

export interface GraphqlOperation {
  /** `query`, `mutation` or `subscription`; undefined when the document begins with a fragment. */
  operation: string | undefined
  /** Empty when it has none. */
  name: string
  /** Names of the fields and fragments that the operation selects at its top. */
  rootFields: string[]
  /** Of a fragment: the type that it is for; else empty. */
  on: string
  /** What variables stand for that the request does not give. */
  defaults: readonly GraphqlBinding[]
  selections: readonly GraphqlSelection[]
}

const none: readonly never[] = []

const deepestNesting = 200

/** The first definition of an executable document. Undefined when the document is not well-formed or has none. */
export function readGraphql(document: string): GraphqlOperation | undefined {
  try {
    return new DocumentReader(document).read()
  } catch (error) {
    if (error instanceof NotGraphql) return undefined
    throw error
  }
}

/** Every definition of an executable document, none for an empty one. Undefined when it is not well-formed. */
export function readGraphqlDocument(document: string): GraphqlOperation[] | undefined {
  try {
    return new DocumentReader(document).readAll()
  } catch (error) {
    if (error instanceof NotGraphql) return undefined
    throw error
  }
}

class NotGraphql extends Error {}

/** White space, commas, line ends, comments and a byte order mark, which mean nothing. */
const ignored = /(?:[\t\n\r ,\ufeff]|#[^\n\r]*)*/y
const token =
  /[_A-Za-z]\w*|\.\.\.|[!$&()@:=[\]{|}]|"[^"\\\n\r]*(?:\\.[^"\\\n\r]*)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])/y
const name = /^[_A-Za-z]/
const scalar = /^["\d-]/

class DocumentReader {
  private at = 0
  /** The next token; empty at the end. */
  private next = ''
  private depth = 0
  private readonly text: string

  constructor(text: string) {
    this.text = text
    this.advance()
  }

  readAll(): GraphqlOperation[] {
    const definitions: GraphqlOperation[] = []
    while (!this.is('')) definitions.push(this.definition())
    return definitions
  }

  read(): GraphqlOperation {
    const first = this.definition()
    while (!this.is('')) this.definition()
    return first
  }

  private definition(): GraphqlOperation {
    if (this.is('{')) return selecting('query', '', '', none, this.selections())
    const keyword = this.take()
    if (keyword === 'fragment') return this.fragment()
    if (keyword !== 'query' && keyword !== 'mutation' && keyword !== 'subscription') throw new NotGraphql()
    const named = name.test(this.next) ? this.take() : ''
    const defaults: GraphqlBinding[] = []
    if (this.is('(')) this.list('(', ')', () => this.variable(defaults))
    this.directives()
    return selecting(keyword, named, '', defaults, this.selections())
  }

  private fragment(): GraphqlOperation {
    const named = this.name()
    this.expect('on')
    const on = this.name()
    this.directives()
    return selecting(undefined, named, on, none, this.selections())
  }

  private variable(defaults: GraphqlBinding[]): void {
    this.expect('$')
    const name = this.name()
    this.expect(':')
    this.type()
    if (this.is('=')) {
      this.take()
      const value = this.value()
      if (value !== undefined) defaults.push({ name, value })
    }
    this.directives()
  }

  private type(): void {
    this.enter()
    if (this.is('[')) {
      this.take()
      this.type()
      this.expect(']')
    } else this.name()
    if (this.is('!')) this.take()
    this.depth--
  }

  private selections(): GraphqlSelection[] {
    const selected: GraphqlSelection[] = []
    this.list('{', '}', () => selected.push(this.selection()))
    return selected
  }

  private selection(): GraphqlSelection {
    if (this.is('...')) {
      this.take()
      const spread = name.test(this.next) && !this.is('on') ? this.take() : undefined
      let on = ''
      if (spread === undefined && this.is('on')) {
        this.take()
        on = this.name()
      }
      this.directives()
      if (spread !== undefined) return { name: spread, kind: 'spread', on, args: none, selections: none }
      return { name: '', kind: 'inline', on, args: none, selections: this.selections() }
    }
    let field = this.name()
    if (this.is(':')) {
      this.take()
      field = this.name()
    }
    const args: GraphqlBinding[] = []
    if (this.is('(')) this.list('(', ')', () => this.argument(args))
    this.directives()
    return { name: field, kind: 'field', on: '', args, selections: this.is('{') ? this.selections() : none }
  }

  private directives(): void {
    while (this.is('@')) {
      this.take()
      this.name()
      if (this.is('(')) this.list('(', ')', () => this.argument())
    }
  }

  private argument(args?: GraphqlBinding[]): void {
    const name = this.name()
    this.expect(':')
    const value = this.value()
    if (value !== undefined) args?.push({ name, value })
  }

  private value(): GraphqlScalar | undefined {
    if (this.is('$')) {
      this.take()
      return { kind: 'variable', text: this.name() }
    }
    if (this.is('[')) this.list('[', ']', () => this.value(), true)
    else if (this.is('{')) this.list('{', '}', () => this.argument(), true)
    else if (name.test(this.next) || scalar.test(this.next)) return { kind: 'literal', text: this.take() }
    else throw new NotGraphql()
    return undefined
  }

  private list(open: string, close: string, item: () => void, mayBeEmpty = false): void {
    this.enter()
    this.expect(open)
    if (!mayBeEmpty) item()
    while (!this.is(close)) item()
    this.take()
    this.depth--
  }

  private enter(): void {
    if (++this.depth > deepestNesting) throw new NotGraphql()
  }

  private is(token: string): boolean {
    return this.next === token
  }

  private name(): string {
    if (!name.test(this.next)) throw new NotGraphql()
    return this.take()
  }

  private expect(text: string): void {
    if (!this.is(text)) throw new NotGraphql()
    this.advance()
  }

  private take(): string {
    const taken = this.next
    if (taken === '') throw new NotGraphql()
    this.advance()
    return taken
  }

  private advance(): void {
    ignored.lastIndex = this.at
    this.at += ignored.exec(this.text)![0].length
    if (this.text.startsWith('"""', this.at)) {
      this.next = '"'
      this.at = blockStringEnd(this.text, this.at)
      return
    }
    token.lastIndex = this.at
    const match = token.exec(this.text)
    if (match === null && this.at < this.text.length) throw new NotGraphql()
    this.next = match === null ? '' : match[0]
    this.at += this.next.length
  }
}

function selecting(
  operation: string | undefined,
  named: string,
  on: string,
  defaults: readonly GraphqlBinding[],
  selections: readonly GraphqlSelection[],
): GraphqlOperation {
  const rootFields = selections.flatMap(({ kind, name }) => (kind === 'inline' ? [] : [name]))
  return { operation, name: named, rootFields, on, defaults, selections }
}

function blockStringEnd(text: string, start: number): number {
  let end = text.indexOf('"""', start + 3)
  while (end !== -1 && text[end - 1] === '\\') end = text.indexOf('"""', end + 3)
  if (end === -1) throw new NotGraphql()
  return end + 3
}
