/**
 * Tokens -> tree, with the precedence of the language (its documentation: "Precedence in DataWeave"): selectors and `not`,
 * then `++`, comparisons, equality, `and`, `or`, then `default` and functions between their operands, then `if`.
 */
import { DataWeaveProblem } from './problem.ts'
import { type Token, tokens } from './tokens.ts'
import type { Value } from './values.ts'

export type Operator = '++' | '==' | '!=' | '<' | '<=' | '>' | '>=' | 'and' | 'or' | 'default'

export type Node = { readonly offset: number } & (
  | { readonly kind: 'literal'; readonly value: Value }
  | { readonly kind: 'array'; readonly items: readonly Node[] }
  | { readonly kind: 'object'; readonly entries: readonly (readonly [key: Node, value: Node])[] }
  /** `attributes`, `payload`, ... */
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'select'; readonly of: Node; readonly key: Node }
  | { readonly kind: 'call'; readonly name: string; readonly given: readonly Node[] }
  | { readonly kind: 'binary'; readonly operator: Operator; readonly left: Node; readonly right: Node }
  | { readonly kind: 'not'; readonly of: Node }
  | { readonly kind: 'if'; readonly test: Node; readonly then: Node; readonly otherwise: Node }
)

/** Characters of an expression. */
export const longestExpression = 16 * 1024
/** How far expressions nest, so that neither reading nor working them out runs out of stack. */
const deepest = 200

/** Words that are no names. */
const keywords = new Set(['if', 'else', 'and', 'or', 'not', 'default', 'true', 'false', 'null'])
/** Parts of the language that are not of the subset. */
const others = new Set(['do', 'using', 'match', 'case', 'as', 'is', 'unless', 'update', 'var', 'fun'])

/** Operators between two operands, from the one that binds least to the one that binds most. */
const levels: readonly (readonly Operator[])[] = [
  ['or'],
  ['and'],
  ['==', '!='],
  ['<', '<=', '>', '>='],
  ['++'],
]

/** @throws DataWeaveProblem */
export function parse(text: string): Node {
  if (text.length > longestExpression) {
    throw new DataWeaveProblem(`an expression has at most ${longestExpression} characters`)
  }
  return new Parser(tokens(text)).whole()
}

class Parser {
  private readonly tokens: readonly Token[]
  private at = 0
  private depth = 0

  constructor(all: readonly Token[]) {
    this.tokens = all
  }

  whole(): Node {
    this.skipHeader()
    const node = this.expression()
    if (this.token.kind !== 'end') this.refuse(this.token)
    return node
  }

  /** `%dw 2.0`, `output ...` and `import ...` up to `---`. What they say holds here anyway. */
  private skipHeader(): void {
    const end = this.tokens.findIndex(({ kind, text }) => kind === 'symbol' && text === '---')
    if (end < 0) return
    const line = this.tokens.slice(0, end)
    const unknown = line.find(({ kind, text }) => kind === 'name' && (text === 'var' || text === 'fun'))
    if (unknown !== undefined) this.refuse(unknown)
    if (line.length > 0 && !['%', 'output', 'import'].includes(line[0]!.text)) this.refuse(line[0]!)
    this.at = end + 1
  }

  private get token(): Token {
    return this.tokens[this.at] as Token
  }

  private expression(): Node {
    return this.nested(() => (this.isWord('if') ? this.choice() : this.chain()))
  }

  private choice(): Node {
    const { offset } = this.take()
    this.expect('(')
    const test = this.expression()
    this.expect(')')
    const then = this.expression()
    if (!this.isWord('else')) throw new DataWeaveProblem('`if` needs an `else`', this.token.offset)
    this.take()
    return { kind: 'if', offset, test, then, otherwise: this.expression() }
  }

  /** `default` and functions between their operands are taken from left to right. */
  private chain(): Node {
    let left = this.level(0)
    for (let links = 0; ; links++) {
      const { kind, text, offset } = this.token
      if (kind !== 'name' || (keywords.has(text) && text !== 'default')) return left
      if (links > deepest) throw tooDeep(offset)
      if (others.has(text)) this.refuse(this.token)
      this.take()
      const right = this.isWord('if') ? this.expression() : this.level(0)
      left =
        text === 'default'
          ? { kind: 'binary', operator: 'default', offset, left, right }
          : { kind: 'call', name: text, offset, given: [left, right] }
    }
  }

  private level(index: number): Node {
    const operators = levels[index]
    if (operators === undefined) return this.unary()
    let left = this.level(index + 1)
    for (let links = 0; ; links++) {
      const { kind, text, offset } = this.token
      if ((kind !== 'symbol' && kind !== 'name') || !operators.includes(text as Operator)) return left
      if (links > deepest) throw tooDeep(offset)
      this.take()
      const right = this.isWord('if') ? this.expression() : this.level(index + 1)
      left = { kind: 'binary', operator: text as Operator, offset, left, right }
    }
  }

  private unary(): Node {
    const { offset } = this.token
    if (this.isWord('not') || this.isSymbol('!')) {
      this.take()
      return { kind: 'not', offset, of: this.nested(() => this.unary()) }
    }
    if (this.isSymbol('-')) {
      this.take()
      if (this.token.kind !== 'number') this.refuse(this.token)
      return { kind: 'literal', offset, value: -Number(this.take().text) }
    }
    return this.selected(this.operand())
  }

  private selected(first: Node): Node {
    let of = first
    for (let links = 0; ; links++) {
      const { offset } = this.token
      if (links > deepest) throw tooDeep(offset)
      if (this.isSymbol('[')) {
        this.take()
        const key = this.expression()
        this.expect(']')
        of = { kind: 'select', offset, of, key }
      } else if (this.isSymbol('.')) {
        this.take()
        const { kind, text, offset: at } = this.token
        if (kind !== 'name' && kind !== 'string') this.refuse(this.token)
        this.take()
        of = { kind: 'select', offset, of, key: { kind: 'literal', offset: at, value: text } }
      } else return of
    }
  }

  private operand(): Node {
    const token = this.take()
    const { kind, text, offset } = token
    if (kind === 'string') return { kind: 'literal', offset, value: text }
    if (kind === 'number') return { kind: 'literal', offset, value: Number(text) }
    if (kind === 'symbol') {
      if (text === '(') {
        const inner = this.expression()
        this.expect(')')
        return inner
      }
      if (text === '[') return { kind: 'array', offset, items: this.list(']', () => this.expression()) }
      if (text === '{') return { kind: 'object', offset, entries: this.list('}', () => this.entry()) }
    }
    if (kind !== 'name') this.refuse(token)
    if (text === 'true' || text === 'false') return { kind: 'literal', offset, value: text === 'true' }
    if (text === 'null') return { kind: 'literal', offset, value: null }
    if (keywords.has(text) || others.has(text)) this.refuse(token)
    if (!this.isSymbol('(')) return { kind: 'variable', offset, name: text }
    this.take()
    return { kind: 'call', name: text, offset, given: this.list(')', () => this.expression()) }
  }

  private entry(): readonly [Node, Node] {
    const token = this.take()
    const { kind, text, offset } = token
    let key: Node
    if (kind === 'symbol' && text === '(') {
      key = this.expression()
      this.expect(')')
    } else if (kind === 'name' || kind === 'string') key = { kind: 'literal', offset, value: text }
    else this.refuse(token)
    this.expect(':')
    return [key, this.expression()]
  }

  private list<Item>(end: string, item: () => Item): Item[] {
    const items: Item[] = []
    while (!this.isSymbol(end)) {
      if (items.length > 0) this.expect(',')
      items.push(item())
    }
    this.take()
    return items
  }

  private nested<Result>(work: () => Result): Result {
    if (++this.depth > deepest) throw tooDeep(this.token.offset)
    const result = work()
    this.depth--
    return result
  }

  private take(): Token {
    const { token } = this
    if (token.kind !== 'end') this.at++
    return token
  }

  private expect(text: string): void {
    if (!this.isSymbol(text)) {
      throw new DataWeaveProblem(`\`${text}\` is missing before ${described(this.token)}`, this.token.offset)
    }
    this.take()
  }

  private isSymbol(text: string): boolean {
    return this.token.kind === 'symbol' && this.token.text === text
  }

  private isWord(text: string): boolean {
    return this.token.kind === 'name' && this.token.text === text
  }

  private refuse(token: Token): never {
    const { kind, text, offset } = token
    if (kind === 'end') throw new DataWeaveProblem('the expression is not complete', offset)
    if (others.has(text) || ['+', '-', '*', '/', '~=', '%'].includes(text)) {
      throw new DataWeaveProblem(`\`${text}\` is not part of the subset that gateways know`, offset)
    }
    throw new DataWeaveProblem(`${described(token)} cannot stand here`, offset)
  }
}

function described({ kind, text }: Token): string {
  return kind === 'end' ? text : kind === 'string' ? JSON.stringify(text) : `\`${text}\``
}

function tooDeep(offset: number): DataWeaveProblem {
  return new DataWeaveProblem(`expressions nest at most ${deepest} deep`, offset)
}
