/**
 * Paths into JSON as APISIX takes them behind `post_arg.`: `messages[*].content[0].type`, `..name`,
 * `items[?(@.price < 10)].id`. The language is Goessner's, as lua-jsonpath reads it, without arithmetic and scripts.
 */

/** One step from a set of values to the next. `deep`: from each value and everything below it. */
export interface PathStep {
  deep: boolean
  selectors: readonly Selector[]
}

export type Selector =
  | { kind: 'all' }
  | { kind: 'name'; name: string }
  /** Counted from the end when negative. */
  | { kind: 'index'; index: number }
  | { kind: 'slice'; from: number; to: number | null; step: number }
  | { kind: 'filter'; filter: Filter }

export type Filter =
  | { kind: 'and' | 'or'; sides: readonly Filter[] }
  | { kind: 'compare'; operator: Operator; left: Term; right: Term }
  /** Holds where the term is there and is not false. */
  | { kind: 'present'; term: Term }

export type Operator = '==' | '!=' | '<' | '<=' | '>' | '>='

/** A value that is written down, or the names and indexes that lead to one from the element in question. */
export type Term =
  | { kind: 'literal'; value: string | number | boolean | null }
  | { kind: 'path'; steps: readonly (string | number)[] }

const deepestNesting = 50

/** `text` is what follows `$.`. Undefined when it is no path. */
export function parseJsonPath(text: string): PathStep[] | undefined {
  try {
    return new PathReader(text).read()
  } catch (error) {
    if (error instanceof NoPath) return undefined
    throw error
  }
}

/** True where APISIX takes what follows `post_arg.` for a path rather than for names between dots. */
export function isJsonPath(text: string): boolean {
  return /[[*]|\.\./.test(text)
}

/** False for what is meant as a path and is none. */
export function isBodyPath(text: string): boolean {
  return !isJsonPath(text) || parseJsonPath(text) !== undefined
}

class NoPath extends Error {}

class PathReader {
  private at = 0
  private depth = 0
  private readonly text: string

  constructor(text: string) {
    this.text = text
  }

  read(): PathStep[] {
    const steps = [{ deep: this.take('.'), selectors: [this.member()] }] as PathStep[]
    while (this.at < this.text.length) steps.push(this.step())
    return steps
  }

  private step(): PathStep {
    const deep = this.take('..')
    if (this.take('[')) return { deep, selectors: this.bracket() }
    if (!deep) this.expect('.')
    return { deep, selectors: [this.member()] }
  }

  private member(): Selector {
    if (this.take('*')) return { kind: 'all' }
    const index = this.number()
    return index === null ? { kind: 'name', name: this.name() } : { kind: 'index', index }
  }

  private bracket(): Selector[] {
    this.space()
    const selectors = [this.selector()]
    while (this.take(',')) {
      this.space()
      selectors.push(this.selector())
    }
    this.expect(']')
    return selectors
  }

  private selector(): Selector {
    const selector = this.bareSelector()
    this.space()
    return selector
  }

  private bareSelector(): Selector {
    if (this.take('*')) return { kind: 'all' }
    if (this.take('?')) {
      this.space()
      return { kind: 'filter', filter: this.choice() }
    }
    const name = this.quoted()
    if (name !== null) return { kind: 'name', name }
    const from = this.number()
    this.space()
    if (!this.take(':')) {
      if (from === null) throw new NoPath()
      return { kind: 'index', index: from }
    }
    const to = this.number()
    const step = this.take(':') ? (this.number() ?? 1) : 1
    if (step < 1) throw new NoPath()
    return { kind: 'slice', from: from ?? 0, to, step }
  }

  private choice(): Filter {
    const sides = [this.conjunction()]
    while (this.takeMatch(/(?:\|\||or\b)\s*/iy) !== null) sides.push(this.conjunction())
    return sides.length === 1 ? sides[0]! : { kind: 'or', sides }
  }

  private conjunction(): Filter {
    const sides = [this.comparison()]
    while (this.takeMatch(/(?:&&|and\b)\s*/iy) !== null) sides.push(this.comparison())
    return sides.length === 1 ? sides[0]! : { kind: 'and', sides }
  }

  private comparison(): Filter {
    if (this.take('(')) {
      if (++this.depth > deepestNesting) throw new NoPath()
      this.space()
      const inner = this.choice()
      this.expect(')')
      this.space()
      this.depth--
      return inner
    }
    const left = this.term()
    const operator = this.takeMatch(/(?:==|!=|<>|<=|>=|=|<|>)\s*/y)?.[0].trim()
    if (operator === undefined) return { kind: 'present', term: left }
    const right = this.term()
    return { kind: 'compare', operator: canonicalOperator(operator), left, right }
  }

  private term(): Term {
    const term = this.bareTerm()
    this.space()
    return term
  }

  private bareTerm(): Term {
    if (this.take('@')) return { kind: 'path', steps: this.plainSteps() }
    const text = this.quoted()
    if (text !== null) return { kind: 'literal', value: text }
    const number = this.takeMatch(/[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y)
    if (number !== null) return { kind: 'literal', value: Number(number[0]) }
    const word = this.takeMatch(/(?:true|false|null)\b/iy)?.[0].toLowerCase()
    if (word === undefined) throw new NoPath()
    return { kind: 'literal', value: word === 'null' ? null : word === 'true' }
  }

  private plainSteps(): (string | number)[] {
    const steps: (string | number)[] = []
    for (;;) {
      if (this.take('.')) steps.push(this.number() ?? this.name())
      else if (this.take('[')) {
        this.space()
        const step = this.quoted() ?? this.number()
        if (step === null) throw new NoPath()
        steps.push(step)
        this.space()
        this.expect(']')
      } else return steps
    }
  }

  private name(): string {
    const match = this.takeMatch(/[A-Za-z_][\w-]*/y)
    if (match === null) throw new NoPath()
    return match[0]
  }

  private number(): number | null {
    const match = this.takeMatch(/[+-]?\d{1,9}(?![\w.])|[+-]?\d{1,9}(?=\.[A-Za-z_*.])/y)
    return match === null ? null : Number(match[0])
  }

  private quoted(): string | null {
    const match = this.takeMatch(/'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)"/sy)
    return match === null ? null : (match[1] ?? match[2]!).replace(/\\(['"\\])/g, '$1')
  }

  private space(): void {
    this.takeMatch(/\s*/y)
  }

  private take(text: string): boolean {
    if (!this.text.startsWith(text, this.at)) return false
    this.at += text.length
    return true
  }

  private expect(text: string): void {
    if (!this.take(text)) throw new NoPath()
  }

  /** `pattern` is sticky. */
  private takeMatch(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.text)
    if (match !== null) this.at += match[0].length
    return match
  }
}

function canonicalOperator(written: string): Operator {
  if (written === '=') return '=='
  return written === '<>' ? '!=' : (written as Operator)
}
