/**
 * Expressions of the DataWeave subset that Flex Gateway's policies take, compiled once to closures.
 * Bounded for any input: nothing repeats but over what a request or a literal holds, and no text grows beyond a mebibyte.
 */
import { compile, type Evaluate, type Reads, type Vocabulary } from './compile.ts'
import { bounded } from './functions.ts'
import { DataWeaveProblem, describeProblem } from './problem.ts'
import { authenticationMembers, requestAttributes, type Scope } from './scope.ts'
import { parse } from './syntax.ts'
import { isArray, isObject, plain, stringOf, type Value } from './values.ts'

export interface Expression {
  /** Whether the body has to be read for it, and whether who is calling. */
  readonly reads: Readonly<Reads>
  /** @throws DataWeaveProblem */
  value(scope: Scope): Value
  /** Null is the empty text; arrays and objects are their JSON. @throws DataWeaveProblem */
  text(scope: Scope): string
  /** Only `true` is. @throws DataWeaveProblem */
  isTrue(scope: Scope): boolean
}

/** In the request phase, for policies that have no variables of their own. */
export const usualVocabulary: Vocabulary = {
  attributes: requestAttributes,
  authentication: authenticationMembers,
  vars: [],
}

/** `text` between `#[` and `]` is an expression, any other text is that text. @throws DataWeaveProblem */
export function textOrExpression(text: string, vocabulary: Vocabulary = usualVocabulary): Expression {
  const inner = expressionIn(text)
  return inner === undefined ? constant(text) : expression(inner, vocabulary)
}

/** What stands between `#[` and `]`; undefined: it is no expression. */
export function expressionIn(text: string): string | undefined {
  const trimmed = text.trim()
  return trimmed.startsWith('#[') && trimmed.endsWith(']') ? trimmed.slice(2, -1) : undefined
}

/** @throws DataWeaveProblem */
export function expression(text: string, vocabulary: Vocabulary = usualVocabulary): Expression {
  const reads: Reads = { payload: false, authentication: false }
  return new Compiled(compile(parse(text), vocabulary, reads), reads)
}

/** The finding in one sentence; undefined when the text is fine. */
export function expressionProblem(text: string, vocabulary?: Vocabulary): string | undefined {
  try {
    textOrExpression(text, vocabulary)
    return undefined
  } catch (error) {
    if (error instanceof DataWeaveProblem) return describeProblem(error, expressionIn(text) ?? text)
    throw error
  }
}

class Compiled implements Expression {
  readonly reads: Readonly<Reads>
  readonly value: Evaluate

  constructor(evaluate: Evaluate, reads: Reads) {
    this.value = evaluate
    this.reads = reads
  }

  text(scope: Scope): string {
    const value = this.value(scope)
    if (value === null) return ''
    return isArray(value) || isObject(value) ? bounded(JSON.stringify(plain(value)), 0) : stringOf(value, 0)
  }

  isTrue(scope: Scope): boolean {
    return this.value(scope) === true
  }
}

function constant(text: string): Expression {
  return {
    reads: { payload: false, authentication: false },
    value: () => text,
    text: () => text,
    isTrue: () => text === 'true',
  }
}
