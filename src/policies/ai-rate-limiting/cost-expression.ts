/**
 * Arithmetic as Lua has it, over the numbers that a service says of an answer: `input_tokens + output_tokens * 1.25`. What
 * it does not say is 0. Known functions: abs, ceil, floor, max and min, also as members of `math`.
 */

export type CostExpression = (counts: Readonly<Record<string, number>>) => number

type Operator = (a: number, b: number) => number

const operators: readonly Readonly<Record<string, Operator>>[] = [
  { '+': (a, b) => a + b, '-': (a, b) => a - b },
  {
    '*': (a, b) => a * b,
    '/': (a, b) => a / b,
    '//': (a, b) => Math.floor(a / b),
    '%': (a, b) => a - Math.floor(a / b) * b,
  },
]

const functions: Readonly<Record<string, (...values: number[]) => number>> = {
  abs: Math.abs,
  ceil: Math.ceil,
  floor: Math.floor,
  max: Math.max,
  min: Math.min,
}

const tokens =
  /\s*(?:(\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)|([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?)|(\/\/|[-+*/%^(),]))/y
const deepest = 100

/** `problem` completes the sentence "the expression ...". */
export function compileCost(text: string): CostExpression | { problem: string } {
  try {
    return new Reader(text).read()
  } catch (error) {
    if (error instanceof CostProblem) return { problem: error.message }
    throw error
  }
}

class CostProblem extends Error {}

class Reader {
  readonly #tokens: string[] = []
  #at = 0
  #depth = 0

  constructor(text: string) {
    tokens.lastIndex = 0
    let end = 0
    for (let match = tokens.exec(text); match !== null; match = tokens.exec(text)) {
      this.#tokens.push(match[0].trim())
      end = tokens.lastIndex
    }
    if (text.slice(end).trim() !== '')
      throw new CostProblem(`cannot be read from "${text.slice(end).trim().slice(0, 20)}" on`)
  }

  read(): CostExpression {
    const cost = this.#sum(0)
    if (this.#at < this.#tokens.length) throw new CostProblem(`has a "${this.#tokens[this.#at]}" too many`)
    return cost
  }

  #sum(level: number): CostExpression {
    const known = operators[level]
    if (known === undefined) return this.#unary()
    let left = this.#sum(level + 1)
    for (let operator = this.#operator(known); operator !== undefined; operator = this.#operator(known)) {
      const [before, apply, after] = [left, operator, this.#sum(level + 1)]
      left = (counts) => apply(before(counts), after(counts))
    }
    return left
  }

  #operator(known: Readonly<Record<string, Operator>>): Operator | undefined {
    const token = this.#tokens[this.#at]
    if (token === undefined || !Object.hasOwn(known, token)) return undefined
    this.#at++
    return known[token]
  }

  #unary(): CostExpression {
    if (++this.#depth > deepest) throw new CostProblem('is nested too deeply')
    let value: CostExpression
    if (this.#take('-')) {
      const inner = this.#unary()
      value = (counts) => -inner(counts)
    } else value = this.#power()
    this.#depth--
    return value
  }

  /** Binds stronger than a sign before it, and from the right. */
  #power(): CostExpression {
    const base = this.#primary()
    if (!this.#take('^')) return base
    const exponent = this.#unary()
    return (counts) => base(counts) ** exponent(counts)
  }

  #primary(): CostExpression {
    const token = this.#tokens[this.#at++]
    if (token === undefined) throw new CostProblem('ends too early')
    if (token === '(') {
      const inner = this.#sum(0)
      this.#close()
      return inner
    }
    if (/^[\d.]/.test(token)) {
      const number = Number(token)
      return () => number
    }
    if (!/^\w/.test(token)) throw new CostProblem(`has a "${token}" where a value is needed`)
    if (this.#take('(')) return this.#call(token)
    if (token.includes('.')) throw new CostProblem(`names ${token}, which is no number`)
    return (counts) => (Object.hasOwn(counts, token) ? counts[token]! : 0)
  }

  #call(token: string): CostExpression {
    const name = token.replace(/^math\./, '')
    const call = Object.hasOwn(functions, name) ? functions[name] : undefined
    if (call === undefined) throw new CostProblem(`calls ${token}, which there is not here`)
    const values: CostExpression[] = []
    do values.push(this.#sum(0))
    while (this.#take(','))
    this.#close()
    return (counts) => call(...values.map((value) => value(counts)))
  }

  #close(): void {
    if (!this.#take(')')) throw new CostProblem('has a parenthesis that is not closed')
  }

  #take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false
    this.#at++
    return true
  }
}
