/** A word of the language that templates hold between their marks. */
export interface Token {
  readonly type: 'name' | 'keyword' | 'number' | 'string' | 'symbol' | 'output' | 'text' | 'end'
  readonly text: string
  /** Offset in the template. */
  readonly at: number
  /** Of `output`: what is written, and whether it is escaped. */
  readonly inner?: readonly Token[]
  readonly isEscaped?: boolean
}

/** What is wrong with a template, and where. */
export class TemplateError extends Error {
  readonly at: number

  constructor(message: string, at: number) {
    super(message)
    this.at = at
  }
}

const keywords = new Set(
  (
    'and break do else elseif end false for function goto if in local nil not or repeat return then true ' +
    'until while'
  ).split(' '),
)

const word =
  /[ \t\r\n]+|(--(?!\[\[)[^\n]*)|([A-Za-z_]\w*)|(0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|("(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*')|\[\[([\s\S]*?)\]\]|(\.\.\.|\.\.|==|~=|<=|>=|[-+*/%^#<>=(){}[\];:,.])/y

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
}

/** @param at where the code stands in the template */
export function readTokens(code: string, at: number): Token[] {
  const tokens: Token[] = []
  word.lastIndex = 0
  for (let from = 0; from < code.length; from = word.lastIndex) {
    word.lastIndex = from
    const match = word.exec(code)
    if (match === null)
      throw new TemplateError(`\`${code.slice(from, from + 10)}\` cannot be read`, at + from)
    const [, , name, number, quoted, long, symbol] = match
    const place = at + from
    if (name !== undefined)
      tokens.push({ type: keywords.has(name) ? 'keyword' : 'name', text: name, at: place })
    else if (number !== undefined) tokens.push({ type: 'number', text: number, at: place })
    else if (quoted !== undefined) tokens.push({ type: 'string', text: unquoted(quoted), at: place })
    else if (long !== undefined) tokens.push({ type: 'string', text: long.replace(/^\r?\n/, ''), at: place })
    else if (symbol !== undefined) tokens.push({ type: 'symbol', text: symbol, at: place })
  }
  return tokens
}

function unquoted(text: string): string {
  return text
    .slice(1, -1)
    .replace(/\\(?:(\d{1,3})|x([0-9a-fA-F]{2})|([\s\S]))/g, (_, decimal, hex, letter: string) => {
      if (decimal !== undefined) return String.fromCharCode(Number(decimal) & 0xff)
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16))
      return escapes[letter] ?? letter
    })
}

const closers: Readonly<Record<string, string>> = { '{': '}}', '*': '*}', '%': '%}', '#': '#}' }

/** The template as one row of tokens: what is written as it is, what is filled in, and the statements between. */
export function splitTemplate(template: string): Token[] {
  const tokens: Token[] = []
  let copied = 0
  const passText = (end: number) => {
    if (end > copied) tokens.push({ type: 'text', text: template.slice(copied, end), at: copied })
  }
  for (let start = template.indexOf('{'); start !== -1; start = template.indexOf('{', start + 1)) {
    const mark = template[start + 1] ?? ''
    refuseOther(template, start, mark)
    const closer = closers[mark]
    const end = closer === undefined ? -1 : template.indexOf(closer, start + 2)
    if (end === -1) continue
    if (template[start - 1] === '\\' && start > copied) {
      passText(start - 1)
      copied = start
      // Two backslashes are one, and the mark is meant.
      if (template[start - 2] !== '\\') continue
    } else passText(mark === '%' ? withoutSpaceBefore(template, start, copied) : start)
    const code = template.slice(start + 2, end)
    if (mark === '%') tokens.push(...readTokens(code, start + 2))
    else if (mark !== '#') {
      const inner = readTokens(code, start + 2)
      tokens.push({ type: 'output', text: code.trim(), at: start + 2, inner, isEscaped: mark === '{' })
    }
    copied = end + 2
    if ((mark === '%' || mark === '#') && template[copied] === '\n') copied++
    start = copied - 1
  }
  passText(template.length)
  tokens.push({ type: 'end', text: '', at: template.length })
  return tokens
}

/** Files and blocks are not there; only what surely means them is refused. */
function refuseOther(template: string, start: number, mark: string): void {
  if (mark !== '(' && mark !== '-') return
  const closed = /^\{(?:\([^)\n]*\)\}|-(\w+)-\})/.exec(template.slice(start, start + 200))
  if (closed === null) return
  const what =
    mark === '(' ? 'other templates are not included: write what they hold here' : 'there are no blocks'
  throw new TemplateError(what, start)
}

function withoutSpaceBefore(template: string, end: number, from: number): number {
  let at = end
  while (at > from && ' \t\v\0'.includes(template[at - 1]!)) at--
  return at
}
