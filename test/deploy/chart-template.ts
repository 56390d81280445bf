/**
 * As much of Helm's templates as the chart uses, for tests on machines without Helm: `if`, `else if`, `else`, `range`,
 * `define`, `include`, pipes, brackets, and the functions below. Anything else is an error, so the chart stays within it.
 */
import { hash } from 'node:crypto'
import { stringify } from 'yaml'

// biome-ignore lint/suspicious/noExplicitAny: values of a chart have every form
type Value = any

export interface ChartContext {
  Values: Record<string, Value>
  Release: { Name: string; Namespace: string; Service: string }
  Chart: { AppVersion: string }
}

type Node =
  | { text: string }
  | { print: string }
  | { branches: { condition: string | undefined; body: Node[] }[] }
  | { range: string; body: Node[] }

export class ChartTemplates {
  readonly #definitions = new Map<string, Node[]>()

  /** Definitions of the text are known from now on. @returns what it prints */
  render(text: string, context: ChartContext): string {
    return this.#print(this.#parse(text), context)
  }

  #parse(text: string): Node[] {
    const parts = text
      .replace(/\s*\{\{-/g, '{{')
      .replace(/-\}\}\s*/g, '}}')
      .split(/\{\{([\s\S]*?)\}\}/)
    let at = 0
    const block = (): { body: Node[]; end: string } => {
      const body: Node[] = []
      for (; at < parts.length; ) {
        const isAction = at % 2 === 1
        const part = parts[at++]!
        if (!isAction) {
          if (part !== '') body.push({ text: part })
          continue
        }
        const action = part.trim()
        const [word] = action.split(/\s/, 1)
        if (word === 'end' || word === 'else') return { body, end: action }
        if (word === 'define') this.#definitions.set(JSON.parse(action.slice(6)) as string, block().body)
        else if (word === 'range') body.push({ range: action.slice(5), body: block().body })
        else if (word === 'if') body.push({ branches: branches(action.slice(2)) })
        else body.push({ print: action })
      }
      return { body, end: 'end of the file' }
    }
    const branches = (first: string) => {
      const found: { condition: string | undefined; body: Node[] }[] = []
      let condition: string | undefined = first
      for (;;) {
        const { body, end } = block()
        found.push({ condition, body })
        if (end === 'end') return found
        if (!end.startsWith('else')) throw new SyntaxError(`an if ends at ${end}`)
        condition = end === 'else' ? undefined : end.replace(/^else if/, '')
      }
    }
    return block().body
  }

  #print(nodes: readonly Node[], dot: Value): string {
    return nodes
      .map((node) => {
        if ('text' in node) return node.text
        if ('print' in node) return String(this.#evaluate(node.print, dot))
        if ('range' in node) {
          const list = this.#evaluate(node.range, dot) as Value[]
          return list.map((item) => this.#print(node.body, item)).join('')
        }
        const taken = node.branches.find(
          ({ condition }) => condition === undefined || isTrue(this.#evaluate(condition, dot)),
        )
        return taken === undefined ? '' : this.#print(taken.body, dot)
      })
      .join('')
  }

  #evaluate(source: string, dot: Value): Value {
    const tokens = source.match(/"(?:[^"\\]|\\.)*"|[()|]|[^\s()|]+/g) ?? []
    let at = 0
    const pipeline = (): Value => {
      let value = call([])
      while (tokens[at] === '|') {
        at++
        value = call([value])
      }
      return value
    }
    const call = (piped: Value[]): Value => {
      const terms: Value[] = []
      const name = /^[a-z]\w*$/i.test(tokens[at] ?? '') ? tokens[at++] : undefined
      while (at < tokens.length && tokens[at] !== '|' && tokens[at] !== ')') terms.push(term())
      if (name === undefined) return terms[0]
      return this.#call(name, [...terms, ...piped])
    }
    const term = (): Value => {
      const token = tokens[at++]!
      if (token === '(') {
        const value = pipeline()
        at++
        return value
      }
      if (token.startsWith('"')) return JSON.parse(token)
      if (/^\d+$/.test(token)) return Number(token)
      if (token === '.') return dot
      if (!token.startsWith('.')) throw new SyntaxError(`what is ${token}?`)
      return token
        .slice(1)
        .split('.')
        .reduce((value, member) => value?.[member], dot)
    }
    const value = pipeline()
    if (at < tokens.length) throw new SyntaxError(`${source}: ${tokens[at]} is too much`)
    return value
  }

  #call(name: string, values: Value[]): Value {
    const [first, second] = values
    switch (name) {
      case 'include':
        return this.#print(this.#definitions.get(first) ?? missing(first), second).trim()
      case 'quote':
        return JSON.stringify(String(first))
      case 'toJson':
        return JSON.stringify(first)
      case 'toYaml':
        return stringify(first, { flowCollectionPadding: false }).trimEnd()
      case 'nindent':
        return `\n${String(second).replace(/^(?=.)/gm, ' '.repeat(first))}`
      case 'default':
        return isTrue(second) ? second : first
      case 'required':
        if (isTrue(second)) return second
        throw new Error(first)
      case 'not':
        return !isTrue(first)
      case 'eq':
        return first === second
      case 'sha256sum':
        return hash('sha256', String(first))
      case 'printf':
        return values.slice(1).reduce((text, value) => text.replace('%s', () => String(value)), first)
      default:
        throw new SyntaxError(`the test knows no function ${name}`)
    }
  }
}

function missing(name: string): never {
  throw new Error(`there is no template ${name}`)
}

/** As Go's templates decide it. */
function isTrue(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return Boolean(value)
}
