/**
 * The part of Lua that templates are written in, compiled to closures when the configuration is put to work: paths,
 * comparisons, arithmetic, concatenation, `and`/`or`/`not`, `local` and assignment to it, `if`, `for`, and calls of the
 * functions in `functions.ts`. Nothing else can be said, and nothing that is said can run long.
 */
import { type Builtin, builtins, type Module, methods, modules } from './functions.ts'
import { splitTemplate, TemplateError, type Token } from './lexer.ts'
import {
  arithmetic,
  concatenate,
  htmlText,
  isLess,
  isMultipart,
  isTruthy,
  lengthOf,
  member,
  numberOf,
  RenderError,
  setMember,
  typeName,
  type Value,
  type ValueMap,
  written,
} from './values.ts'

/** What a template is filled in with. */
export interface Scene {
  /** The decoded body. */
  readonly context: ValueMap
  readonly body: string | undefined
  readonly multipart: Value
  /** `_ctx` by path: what stands behind `_ctx.`, such as `var.arg_name`. */
  lookUp(path: string): Value
}

interface Frame extends Scene {
  readonly locals: Value[]
  output: string
  steps: number
}

type Evaluate = (frame: Frame) => Value
/** @returns true: the loop around it ends */
type Execute = (frame: Frame) => boolean

export interface Template {
  /** @throws RenderError */
  render(scene: Scene): string
  /** Paths below `_ctx` that it asks for. */
  readonly asked: ReadonlySet<string>
}

const mostSteps = 300_000
const largestOutput = 64 * 1024 * 1024
const deepest = 100

/** Names that a body cannot stand in front of. */
const reserved = new Set(['context', '_ctx', '_body', '_multipart'])

/** @param text one character a byte @throws TemplateError */
export function compileTemplate(text: string): Template {
  const parser = new Parser(splitTemplate(text))
  const run = parser.template()
  return {
    asked: parser.asked,
    render(scene) {
      const frame: Frame = {
        context: scene.context,
        body: scene.body,
        multipart: scene.multipart,
        lookUp: scene.lookUp,
        locals: [],
        output: '',
        steps: 0,
      }
      run(frame)
      return frame.output
    },
  }
}

type Local = number | Module

class Parser {
  readonly asked = new Set<string>()
  #tokens: readonly Token[]
  #at = 0
  #slots = 0
  #depth = 0
  #loops = 0
  readonly #scopes: Map<string, Local>[] = [new Map()]

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  template(): Execute {
    const run = this.#block()
    const { type, text, at } = this.#peek()
    if (type !== 'end') throw new TemplateError(`\`${text}\` stands where nothing is open`, at)
    return run
  }

  // Statements.

  /** Up to what ends it: `end`, `else`, `elseif`, or the end of the template. */
  #block(): Execute {
    this.#descend()
    this.#scopes.push(new Map())
    const statements: Execute[] = []
    for (;;) {
      const { type, text } = this.#peek()
      if (type === 'end' || (type === 'keyword' && (text === 'end' || text.startsWith('else')))) break
      if (this.#takes(';')) continue
      statements.push(this.#statement())
    }
    this.#scopes.pop()
    this.#depth--
    return (frame) => {
      for (const statement of statements) {
        if (++frame.steps > mostSteps) throw new RenderError('it takes too long')
        if (statement(frame)) return true
      }
      return false
    }
  }

  #statement(): Execute {
    const token = this.#next()
    if (token.type === 'text') return this.#write(() => token.text)
    if (token.type === 'output') return this.#outputOf(token)
    if (token.type === 'keyword') {
      switch (token.text) {
        case 'local':
          return this.#local(token)
        case 'if':
          return this.#if()
        case 'for':
          return this.#for()
        case 'break':
          if (this.#loops === 0) throw new TemplateError('`break` stands outside of a loop', token.at)
          return () => true
      }
    }
    if (token.type !== 'name') {
      const known = '`local`, `if`, `for`, `break`, assignments to locals and calls'
      throw new TemplateError(`\`${token.text}\` cannot be used here: statements are ${known}`, token.at)
    }
    return this.#assignmentOrCall(token)
  }

  #write(text: Evaluate & ((frame: Frame) => string)): Execute {
    return (frame) => {
      frame.output += text(frame)
      if (frame.output.length > largestOutput) throw new RenderError('the output is too long')
      return false
    }
  }

  #outputOf(token: Token): Execute {
    const outer = this.#tokens
    const at = this.#at
    this.#tokens = [...token.inner!, { type: 'end', text: '', at: token.at + token.text.length }]
    this.#at = 0
    const value = this.#expression()
    const rest = this.#peek()
    if (rest.type !== 'end') throw unexpected(rest)
    this.#tokens = outer
    this.#at = at
    if (token.isEscaped) return this.#write((frame) => htmlText(written(value(frame))))
    return this.#write((frame) => written(value(frame)))
  }

  #local(begin: Token): Execute {
    const names = [this.#name()]
    while (this.#takes(',')) names.push(this.#name())
    if (this.#isRequire()) {
      const module = this.#require()
      if (names.length > 1) throw new TemplateError('a module is one value', begin.at)
      this.#scopes.at(-1)!.set(names[0]!, module)
      return () => false
    }
    const values = this.#takes('=') ? this.#expressions() : []
    const slots = names.map((name) => this.#declare(name))
    return assign(slots, values)
  }

  #isRequire(): boolean {
    const [sign, name] = [this.#peek(), this.#tokens[this.#at + 1]]
    return sign.text === '=' && sign.type === 'symbol' && name?.type === 'name' && name.text === 'require'
  }

  #require(): Module {
    this.#at += 2
    const isInParentheses = this.#takes('(')
    const { type, text, at } = this.#next()
    const module = type === 'string' && Object.hasOwn(modules, text) ? modules[text] : undefined
    if (module === undefined) {
      throw new TemplateError(
        `\`${text}\` cannot be loaded: the modules are ${Object.keys(modules).join(', ')}`,
        at,
      )
    }
    if (isInParentheses) this.#expect(')')
    return module
  }

  #assignmentOrCall(token: Token): Execute {
    const local = this.#find(token.text)
    const { text } = this.#peek()
    if (typeof local === 'number' && (text === '=' || text === ',')) {
      const slots = [local]
      while (this.#takes(',')) {
        const { text: name, at } = this.#peek()
        const slot = this.#find(this.#name())
        if (typeof slot !== 'number') throw new TemplateError(`\`${name}\` is no local`, at)
        slots.push(slot)
      }
      this.#expect('=')
      return assign(slots, this.#expressions())
    }
    if (text === '=')
      throw new TemplateError(`\`${token.text}\` is no local: write \`local ${token.text} =\``, token.at)
    this.#at--
    const value = this.#suffixed()
    if (this.#takes('=')) {
      const { place } = value as Placed
      if (place === undefined) throw unexpected(token)
      return assignMember(place, this.#expression())
    }
    if (this.#tokens[this.#at - 1]?.text !== ')') throw unexpected(this.#peek())
    return (frame) => {
      value(frame)
      return false
    }
  }

  #if(): Execute {
    const branches: { readonly condition: Evaluate; readonly run: Execute }[] = []
    let otherwise: Execute = () => false
    do {
      const condition = this.#expression()
      this.#expectWord('then')
      branches.push({ condition, run: this.#block() })
    } while (this.#takesWord('elseif'))
    if (this.#takesWord('else')) otherwise = this.#block()
    this.#expectWord('end')
    return (frame) => {
      for (const { condition, run } of branches) if (isTruthy(condition(frame))) return run(frame)
      return otherwise(frame)
    }
  }

  #for(): Execute {
    const names = [this.#name()]
    while (this.#takes(',')) names.push(this.#name())
    return names.length === 1 && this.#takes('=') ? this.#forNumbers(names[0]!) : this.#forMembers(names)
  }

  #forNumbers(name: string): Execute {
    const bounds = this.#expressions()
    const { at } = this.#peek()
    if (bounds.length < 2 || bounds.length > 3)
      throw new TemplateError('a `for` has two or three numbers', at)
    const { slots, run } = this.#loop([name])
    return (frame) => {
      const [from, to, step = 1] = bounds.map((bound) => numberOf(bound(frame)))
      if (from === undefined || to === undefined || step === 0) throw new RenderError("'for' needs numbers")
      for (let value = from; step > 0 ? value <= to : value >= to; value += step) {
        if (++frame.steps > mostSteps) throw new RenderError('it takes too long')
        frame.locals[slots[0]!] = value
        if (run(frame)) break
      }
      return false
    }
  }

  #forMembers(names: readonly string[]): Execute {
    this.#expectWord('in')
    const { text, at } = this.#next()
    if (text !== 'pairs' && text !== 'ipairs')
      throw new TemplateError('a `for` goes over `pairs(...)` or `ipairs(...)`', at)
    this.#expect('(')
    const table = this.#expression()
    this.#expect(')')
    const { slots, run } = this.#loop(names)
    const inOrder = text === 'ipairs'
    return (frame) => {
      for (const [key, value] of membersOf(table(frame), inOrder)) {
        frame.locals[slots[0]!] = key
        if (slots.length > 1) frame.locals[slots[1]!] = value
        if (++frame.steps > mostSteps) throw new RenderError('it takes too long')
        if (run(frame)) break
      }
      return false
    }
  }

  #loop(names: readonly string[]): { slots: number[]; run: Execute } {
    this.#expectWord('do')
    this.#scopes.push(new Map())
    const slots = names.map((name) => this.#declare(name))
    this.#loops++
    const run = this.#block()
    this.#loops--
    this.#scopes.pop()
    this.#expectWord('end')
    return { slots, run }
  }

  // Expressions, from the operators that bind least.

  #expressions(): Evaluate[] {
    const values = [this.#expression()]
    while (this.#takes(',')) values.push(this.#expression())
    return values
  }

  #expression(): Evaluate {
    this.#descend()
    let left = this.#and()
    while (this.#takesWord('or')) {
      const [a, b] = [left, this.#and()]
      left = (frame) => {
        const value = a(frame)
        return isTruthy(value) ? value : b(frame)
      }
    }
    this.#depth--
    return left
  }

  #and(): Evaluate {
    let left = this.#comparison()
    while (this.#takesWord('and')) {
      const [a, b] = [left, this.#comparison()]
      left = (frame) => {
        const value = a(frame)
        return isTruthy(value) ? b(frame) : value
      }
    }
    return left
  }

  #comparison(): Evaluate {
    let left = this.#concatenation()
    for (;;) {
      const { type, text } = this.#peek()
      if (type !== 'symbol' || !['==', '~=', '<', '>', '<=', '>='].includes(text)) return left
      this.#at++
      left = compared(text, left, this.#concatenation())
    }
  }

  #concatenation(): Evaluate {
    const left = this.#sum()
    if (!this.#takes('..')) return left
    this.#descend()
    const right = this.#concatenation()
    this.#depth--
    return (frame) => concatenate(left(frame), right(frame))
  }

  #sum(): Evaluate {
    let left = this.#product()
    for (let sign = this.#takesOne('+', '-'); sign !== ''; sign = this.#takesOne('+', '-')) {
      const [a, b, operator] = [left, this.#product(), sign]
      left = (frame) => arithmetic(operator, a(frame), b(frame))
    }
    return left
  }

  #product(): Evaluate {
    let left = this.#unary()
    for (let sign = this.#takesOne('*', '/', '%'); sign !== ''; sign = this.#takesOne('*', '/', '%')) {
      const [a, b, operator] = [left, this.#unary(), sign]
      left = (frame) => arithmetic(operator, a(frame), b(frame))
    }
    return left
  }

  #unary(): Evaluate {
    this.#descend()
    const value = this.#unaryOf()
    this.#depth--
    return value
  }

  #unaryOf(): Evaluate {
    if (this.#takesWord('not')) {
      const value = this.#unary()
      return (frame) => !isTruthy(value(frame))
    }
    if (this.#takes('-')) {
      const value = this.#unary()
      return (frame) => arithmetic('-', 0, value(frame))
    }
    if (this.#takes('#')) {
      const value = this.#unary()
      return (frame) => lengthOf(value(frame))
    }
    const base = this.#suffixed()
    if (!this.#takes('^')) return base
    const exponent = this.#unary()
    return (frame) => arithmetic('^', base(frame), exponent(frame))
  }

  /** A value with what hangs on it: `.name`, `[key]`, `:method(...)`. */
  #suffixed(): Evaluate {
    let value = this.#primary()
    for (;;) {
      const { text, at } = this.#peek()
      if (this.#takes('.')) {
        const name = this.#name()
        const owner = value
        value = placed(owner, constant(name))
      } else if (this.#takes('[')) {
        const [owner, key] = [value, this.#expression()]
        this.#expect(']')
        value = placed(owner, key)
      } else if (this.#takes(':')) value = this.#method(value)
      else if (text === '(' && this.#peek().type === 'symbol') {
        // Nothing in a body is a function: such a call can only fail, as it does in Lua.
        this.#arguments()
        const owner = value
        value = (frame) => {
          throw new RenderError(`attempt to call a ${typeName(owner(frame))} value (character ${at + 1})`)
        }
      } else return value
    }
  }

  #method(owner: Evaluate): Evaluate {
    const { text: name, at } = this.#peek()
    this.#name()
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined
    const onText = builtins.get(`string.${name}`)
    if (method === undefined && onText === undefined) {
      throw new TemplateError(`there is no method \`${name}\``, at)
    }
    const rest = this.#arguments()
    const call = onText && this.#builtin(onText, [owner, ...rest], at)
    return (frame) => {
      const self = owner(frame)
      if (isMultipart(self)) {
        if (method === undefined) throw new RenderError(`attempt to call method '${name}' of a table value`)
        return method(
          self,
          rest.map((argument) => argument(frame)),
        )
      }
      if (call === undefined || typeof self !== 'string')
        throw new RenderError(`attempt to call method '${name}' of a ${typeName(self)} value`)
      return call(frame)
    }
  }

  #primary(): Evaluate {
    const token = this.#next()
    const { type, text, at } = token
    if (type === 'number') return constant(Number(text))
    if (type === 'string') return Object.assign(constant(text), { text })
    if (type === 'keyword') {
      if (text === 'nil') return constant(undefined)
      if (text === 'true' || text === 'false') return constant(text === 'true')
    }
    if (type === 'symbol' && text === '(') {
      const value = this.#expression()
      this.#expect(')')
      return (frame) => value(frame)
    }
    if (type === 'symbol' && text === '{')
      throw new TemplateError('tables cannot be written in a template', at)
    if (type !== 'name') throw unexpected(token)
    return this.#named(text, at)
  }

  #named(name: string, at: number): Evaluate {
    const local = this.#find(name)
    if (typeof local === 'number') return (frame) => frame.locals[local]
    if (local !== undefined) return this.#call(local, name, at)
    if (name === '_ctx') return this.#lookUp(at)
    if (name === '_body') return (frame) => frame.body
    if (name === '_multipart') return (frame) => frame.multipart
    if (name === 'context') return this.#context()
    if (builtins.has(name) && this.#peek().text === '(') return this.#callOf(name, at)
    if (name.startsWith('_escape')) throw new TemplateError(`there is no function \`${name}\``, at)
    const library = this.#peek().text === '.' ? this.#tokens[this.#at + 1]?.text : undefined
    if (builtins.has(`${name}.${library}`)) {
      this.#at += 2
      return this.#callOf(`${name}.${library}`, at)
    }
    if (luaNames.has(name) && (this.#peek().text === '(' || library !== undefined) && this.#isCall()) {
      throw new TemplateError(`\`${name}\` is not there: the functions are ${functionNames()}`, at)
    }
    return (frame) => (Object.hasOwn(frame.context, name) ? frame.context[name] : undefined)
  }

  /** Whether a path that begins here ends with a call. */
  #isCall(): boolean {
    let at = this.#at
    while (this.#tokens[at]?.text === '.') at += 2
    return this.#tokens[at]?.text === '('
  }

  /** `context.NAME`: as the name alone. */
  #context(): Evaluate {
    const name = this.#peek().text === '.' ? (this.#tokens[this.#at + 1]?.text ?? '') : ''
    if (!reserved.has(name)) return (frame) => frame.context
    const { at } = this.#tokens[this.#at + 1]!
    this.#at += 2
    return this.#named(name, at)
  }

  /** `_ctx.var.NAME` and the few other things that are known of a request. */
  #lookUp(at: number): Evaluate {
    const names: string[] = []
    while (this.#peek().text === '.' || this.#peek().text === '[') {
      const opener = this.#next().text
      const { type, text, at: place } = this.#next()
      if (type !== (opener === '.' ? 'name' : 'string')) {
        throw new TemplateError('what is asked of `_ctx` is written out', place)
      }
      if (opener === '[') this.#expect(']')
      names.push(text)
      if (names[0] !== 'var' && names[0] !== 'consumer') break
      if (names.length === 2) break
    }
    const path = names.join('.')
    const isKnown =
      /^var\.\w+$/.test(path) || /^(consumer|consumer_name|route_id|service_id|consumer\.\w+)$/.test(path)
    if (!isKnown) {
      const known = '_ctx.var.NAME, _ctx.consumer, _ctx.consumer_name, _ctx.route_id and _ctx.service_id'
      throw new TemplateError(`\`_ctx.${path}\` is not there: what is known is ${known}`, at)
    }
    if (path === 'consumer' || !path.startsWith('consumer.')) {
      this.asked.add(path)
      return (frame) => frame.lookUp(path)
    }
    this.asked.add('consumer')
    const field = names[1]!
    return (frame) => member(frame.lookUp('consumer'), field)
  }

  // Calls.

  /** `module.function(...)` of what was loaded. */
  #call(module: Module, name: string, at: number): Evaluate {
    let found: Module | Builtin | undefined = module
    let path = name
    while (typeof found === 'object' && 'members' in found && this.#takes('.')) {
      const field = this.#name()
      path += `.${field}`
      found = found.members[field]
    }
    if (found === undefined || 'members' in found) throw new TemplateError(`\`${path}\` is not there`, at)
    return this.#builtin(found, this.#arguments(), at)
  }

  #callOf(name: string, at: number): Evaluate {
    return this.#builtin(builtins.get(name)!, this.#arguments(), at)
  }

  #builtin(builtin: Builtin, values: readonly Evaluate[], at: number): Evaluate {
    const texts = values.map((value) => (value as { text?: string }).text)
    const call = builtin.prepare(texts)
    if ('problem' in call) throw new TemplateError(call.problem, at)
    return (frame) => call.run(values.map((value) => value(frame)))
  }

  #arguments(): Evaluate[] {
    const { type, text } = this.#peek()
    if (type === 'string') {
      this.#at++
      return [Object.assign(constant(text), { text })]
    }
    this.#expect('(')
    if (this.#takes(')')) return []
    const values = this.#expressions()
    this.#expect(')')
    return values
  }

  // Words.

  #peek(): Token {
    return this.#tokens[this.#at] ?? this.#tokens.at(-1)!
  }

  #next(): Token {
    const token = this.#peek()
    this.#at++
    return token
  }

  #takes(symbol: string): boolean {
    return this.#takesOne(symbol) !== ''
  }

  #takesOne(...symbols: string[]): string {
    const { type, text } = this.#peek()
    if (type !== 'symbol' || !symbols.includes(text)) return ''
    this.#at++
    return text
  }

  #takesWord(word: string): boolean {
    const { type, text } = this.#peek()
    if (type !== 'keyword' || text !== word) return false
    this.#at++
    return true
  }

  #expect(symbol: string): void {
    if (!this.#takes(symbol)) throw new TemplateError(`\`${symbol}\` is missing`, this.#peek().at)
  }

  #expectWord(word: string): void {
    if (!this.#takesWord(word)) throw new TemplateError(`\`${word}\` is missing`, this.#peek().at)
  }

  #name(): string {
    const token = this.#next()
    if (token.type !== 'name') throw unexpected(token)
    return token.text
  }

  #declare(name: string): number {
    const slot = this.#slots++
    this.#scopes.at(-1)!.set(name, slot)
    return slot
  }

  #find(name: string): Local | undefined {
    for (const scope of this.#scopes.toReversed()) {
      const found = scope.get(name)
      if (found !== undefined) return found
    }
    return undefined
  }

  #descend(): void {
    if (++this.#depth > deepest) throw new TemplateError('it is nested too deeply', this.#peek().at)
  }
}

/** What Lua and nginx have under these names, and templates have not. */
const luaNames = new Set(
  'require string table math os io ngx coroutine debug package load loadstring dofile pcall error assert setmetatable rawget select unpack print'.split(
    ' ',
  ),
)

function functionNames(): string {
  return [...builtins.keys()].join(', ')
}

function unexpected({ type, text, at }: Token): TemplateError {
  const what =
    type === 'end' || type === 'text' || type === 'output' ? 'the end of the statement' : `\`${text}\``
  return new TemplateError(`${what} is not expected`, at)
}

function constant(value: Value): Evaluate {
  return () => value
}

function assign(slots: readonly number[], values: readonly Evaluate[]): Execute {
  return (frame) => {
    const results = values.map((value) => value(frame))
    for (const [index, slot] of slots.entries()) frame.locals[slot] = results[index]
    return false
  }
}

/** A member that may be assigned to. */
type Placed = Evaluate & { readonly place?: { readonly owner: Evaluate; readonly key: Evaluate } }

function placed(owner: Evaluate, key: Evaluate): Placed {
  return Object.assign((frame: Frame) => member(owner(frame), key(frame)), { place: { owner, key } })
}

function assignMember({ owner, key }: NonNullable<Placed['place']>, value: Evaluate): Execute {
  return (frame) => {
    setMember(owner(frame), key(frame), value(frame))
    return false
  }
}

function compared(operator: string, left: Evaluate, right: Evaluate): Evaluate {
  switch (operator) {
    case '==':
      return (frame) => left(frame) === right(frame)
    case '~=':
      return (frame) => left(frame) !== right(frame)
    case '<':
      return (frame) => isLess(left(frame), right(frame))
    case '>':
      return (frame) => isLess(right(frame), left(frame))
    case '<=':
      return (frame) => !isLess(right(frame), left(frame))
    default:
      return (frame) => !isLess(left(frame), right(frame))
  }
}

function membersOf(table: Value, inOrder: boolean): (readonly [Value, Value])[] {
  if (typeof table !== 'object' || table === null || isMultipart(table))
    throw new RenderError(`table expected, got ${typeName(table)}`)
  if (Array.isArray(table)) {
    const end = inOrder ? table.indexOf(undefined) : -1
    const items = (end === -1 ? table : table.slice(0, end)) as readonly Value[]
    return items.map((value, index) => [index + 1, value] as const)
  }
  if (!inOrder) return Object.entries(table)
  return Array.from({ length: lengthOf(table) }, (_, index) => [index + 1, member(table, index + 1)] as const)
}
