/**
 * Reads XML 1.0 in UTF-8 as it comes in and says at the first character that is too much that it is. Document types are
 * refused, and with them every entity but the five that XML has: nothing in a document can grow when it is read.
 */

/** -1: as many as there are. Lengths are in characters, after references were resolved. */
export interface XmlLimits {
  /** Elements inside of each other; the outermost one counts. */
  readonly depth: number
  readonly attributes: number
  /** Elements, comments and processing instructions in one element. */
  readonly children: number
  /** Text between two tags, whatever comments stand in it. */
  readonly textLength: number
  readonly attributeLength: number
  /** Of comments, and of what processing instructions say. */
  readonly commentLength: number
}

/** Takes what is read. Values come with references resolved and line ends as LF. */
export interface XmlReceiver {
  open(name: string, attributes: readonly (readonly [name: string, value: string])[]): void
  text(text: string): void
  close(name: string): void
}

const noXml = 'it is not XML'
const notUtf8 = 'it is not UTF-8'

/** What comes next. */
const wants = {
  content: 0,
  /** After `<`. */
  markup: 1,
  openName: 2,
  inTag: 3,
  attributeName: 4,
  equals: 5,
  quote: 6,
  value: 7,
  afterValue: 8,
  tagEnd: 9,
  closeName: 10,
  afterCloseName: 11,
  /** After `<!`. */
  declaration: 12,
  comment: 13,
  commentDash: 14,
  commentEnd: 15,
  cdata: 16,
  cdataBracket: 17,
  cdataEnd: 18,
  target: 19,
  instruction: 20,
  instructionEnd: 21,
  reference: 22,
  targetEnd: 23,
} as const

const predefined: Readonly<Record<string, number>> = { lt: 0x3c, gt: 0x3e, amp: 0x26, quot: 0x22, apos: 0x27 }

/** The longest name of a reference that could mean something: `#x10FFFF` with some zeros. */
const longestReference = 16
const longestDeclaration = 256
const xmlDeclaration =
  /^[ \n\t]+version[ \n\t]*=[ \n\t]*(["'])1\.[0-9]+\1(?:[ \n\t]+encoding[ \n\t]*=[ \n\t]*(["'])([A-Za-z][\w.-]*)\2)?(?:[ \n\t]+standalone[ \n\t]*=[ \n\t]*(["'])(?:yes|no)\4)?[ \n\t]*$/

interface OpenElement {
  readonly name: string
  children: number
}

export class XmlScanner {
  readonly #limits: XmlLimits
  readonly #receiver: XmlReceiver | null
  #state: number = wants.content
  readonly #open: OpenElement[] = []
  #hasRoot = false
  /** Nothing was read yet but the byte order mark. */
  #mayDeclare = true
  #mayBeMark = true
  /** Code point that is being put together of bytes, and how many of them are missing. */
  #point = 0
  #missing = 0
  #low = 0x80
  #high = 0xbf
  /** Name of the tag, attribute, reference or target that is read. */
  #word = ''
  #tag = ''
  #attribute = ''
  #attributes: [name: string, value: string][] = []
  readonly #attributeNames = new Set<string>()
  #quote = 0
  #value = ''
  #length = 0
  /** Characters of the text since the last tag. */
  #textLength = 0
  /** How many `]` stood right before, as far as that matters. */
  #brackets = 0
  #text = ''
  #isInValue = false
  /** What the XML declaration says; null: another instruction is read. */
  #declaration: string | null = null
  #afterReturn = false
  #problem: string | undefined

  constructor(limits: XmlLimits, receiver: XmlReceiver | null = null) {
    this.#limits = limits
    this.#receiver = receiver
  }

  /**
   * @param piece one character a byte
   * @returns what is wrong, as the end of a sentence; from then on always the same
   */
  write(piece: string): string | undefined {
    for (let at = 0; at < piece.length && this.#problem === undefined; at++) {
      this.#problem = this.#takeByte(piece.charCodeAt(at))
    }
    return this.#problem
  }

  /** @returns what is wrong with the whole, now that there is no more of it */
  end(): string | undefined {
    const isWhole =
      this.#state === wants.content && this.#missing === 0 && this.#hasRoot && this.#open.length === 0
    if (!isWhole) this.#problem ??= noXml
    return this.#problem
  }

  #takeByte(byte: number): string | undefined {
    if (this.#missing === 0) {
      if (byte < 0x80) return this.#takeRaw(byte)
      // RFC 3629, section 4: no overlong forms, no surrogates, nothing above U+10FFFF.
      if (byte < 0xc2 || byte > 0xf4) return notUtf8
      this.#missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3
      this.#low = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80
      this.#high = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf
      this.#point = byte & (0x3f >> this.#missing)
      return undefined
    }
    if (byte < this.#low || byte > this.#high) return notUtf8
    this.#low = 0x80
    this.#high = 0xbf
    this.#point = (this.#point << 6) | (byte & 0x3f)
    return --this.#missing === 0 ? this.#takeRaw(this.#point) : undefined
  }

  #takeRaw(point: number): string | undefined {
    // A byte order mark says nothing in UTF-8.
    const mayBeMark = this.#mayBeMark
    this.#mayBeMark = false
    if (mayBeMark && point === 0xfeff) return undefined
    if (!isCharacter(point)) return noXml
    // XML 1.0, section 2.11: CR LF, and CR alone, are LF.
    const isSecond = this.#afterReturn && point === 0x0a
    this.#afterReturn = point === 0x0d
    if (isSecond) return undefined
    return this.#take(point === 0x0d ? 0x0a : point)
  }

  #take(point: number): string | undefined {
    const state = this.#state
    switch (state) {
      case wants.content:
        return this.#takeContent(point)
      case wants.markup:
        return this.#takeMarkup(point)
      case wants.openName:
        return this.#takeOpenName(point)
      case wants.inTag:
      case wants.afterValue:
        return this.#takeInTag(point, state === wants.afterValue)
      case wants.attributeName:
        return this.#takeAttributeName(point)
      case wants.equals:
        if (isSpace(point)) return undefined
        this.#state = wants.quote
        return point === 0x3d ? undefined : noXml
      case wants.quote:
        return this.#takeQuote(point)
      case wants.value:
        return this.#takeValue(point)
      case wants.tagEnd:
        return point === 0x3e ? (this.#openTag() ?? this.#closeTag(this.#tag)) : noXml
      case wants.closeName:
      case wants.afterCloseName:
        return this.#takeCloseName(point)
      case wants.declaration:
        return this.#takeDeclaration(point)
      case wants.reference:
        return this.#takeReference(point)
      case wants.target:
        return this.#takeTarget(point)
      case wants.targetEnd:
        return point === 0x3e ? this.#endInstruction() : noXml
      case wants.instruction:
      case wants.instructionEnd:
        return this.#takeInstruction(point)
      case wants.comment:
      case wants.commentDash:
      case wants.commentEnd:
        return this.#takeComment(point)
      default:
        return this.#takeCdata(point)
    }
  }

  // Content.

  #takeContent(point: number): string | undefined {
    if (point === 0x3c) {
      this.#state = wants.markup
      this.#brackets = 0
      return undefined
    }
    this.#mayDeclare = false
    if (this.#open.length === 0) return isSpace(point) ? undefined : noXml
    if (point === 0x26) {
      this.#brackets = 0
      this.#beginReference(false)
      return undefined
    }
    // XML 1.0, section 2.4: `]]>` ends a CDATA section and stands nowhere else.
    if (point === 0x3e && this.#brackets === 2) return noXml
    this.#brackets = point === 0x5d ? Math.min(2, this.#brackets + 1) : 0
    return this.#addText(point)
  }

  #addText(point: number): string | undefined {
    if (this.#receiver !== null) this.#text += String.fromCodePoint(point)
    const { textLength } = this.#limits
    return ++this.#textLength > textLength && textLength >= 0 ? 'a text is too long' : undefined
  }

  #passText(): void {
    if (this.#text !== '') this.#receiver?.text(this.#text)
    this.#text = ''
  }

  #takeMarkup(point: number): string | undefined {
    const mayDeclare = this.#mayDeclare
    this.#mayDeclare = false
    this.#word = ''
    if (point === 0x2f) {
      this.#state = wants.closeName
      return undefined
    }
    if (point === 0x21) {
      this.#state = wants.declaration
      return undefined
    }
    if (point === 0x3f) {
      this.#state = wants.target
      this.#mayDeclare = mayDeclare
      return undefined
    }
    if (!isNameStart(point)) return noXml
    this.#state = wants.openName
    this.#word = String.fromCodePoint(point)
    return undefined
  }

  // Tags.

  #takeOpenName(point: number): string | undefined {
    if (isName(point)) {
      this.#word += String.fromCodePoint(point)
      return undefined
    }
    this.#tag = this.#word
    this.#attributes = []
    this.#attributeNames.clear()
    return this.#takeInTag(point, true)
  }

  /** @param needsSpace before an attribute */
  #takeInTag(point: number, needsSpace: boolean): string | undefined {
    if (isSpace(point)) this.#state = wants.inTag
    else if (point === 0x3e) return this.#openTag()
    else if (point === 0x2f) this.#state = wants.tagEnd
    else {
      if (needsSpace || !isNameStart(point)) return noXml
      this.#word = String.fromCodePoint(point)
      this.#state = wants.attributeName
    }
    return undefined
  }

  #takeAttributeName(point: number): string | undefined {
    if (isName(point)) {
      this.#word += String.fromCodePoint(point)
      return undefined
    }
    const { attributes } = this.#limits
    this.#attribute = this.#word
    if (this.#attributeNames.has(this.#word)) return noXml
    this.#attributeNames.add(this.#word)
    if (attributes >= 0 && this.#attributeNames.size > attributes) return 'an element has too many attributes'
    this.#state = point === 0x3d ? wants.quote : wants.equals
    return point === 0x3d || isSpace(point) ? undefined : noXml
  }

  #takeQuote(point: number): string | undefined {
    if (isSpace(point)) return undefined
    if (point !== 0x22 && point !== 0x27) return noXml
    this.#quote = point
    this.#value = ''
    this.#length = 0
    this.#state = wants.value
    return undefined
  }

  #takeValue(point: number): string | undefined {
    if (point === this.#quote) {
      if (this.#receiver !== null) this.#attributes.push([this.#attribute, this.#value])
      this.#state = wants.afterValue
      return undefined
    }
    if (point === 0x3c) return noXml
    if (point === 0x26) {
      this.#beginReference(true)
      return undefined
    }
    // XML 1.0, section 3.3.3: white space that is written is a space.
    return this.#addValue(isSpace(point) ? 0x20 : point)
  }

  #addValue(point: number): string | undefined {
    if (this.#receiver !== null) this.#value += String.fromCodePoint(point)
    const { attributeLength } = this.#limits
    return ++this.#length > attributeLength && attributeLength >= 0 ? 'an attribute is too long' : undefined
  }

  #openTag(): string | undefined {
    this.#state = wants.content
    this.#textLength = 0
    this.#passText()
    if (this.#open.length === 0) {
      if (this.#hasRoot) return noXml
      this.#hasRoot = true
    }
    const problem = this.#countChild()
    this.#open.push({ name: this.#tag, children: 0 })
    this.#receiver?.open(this.#tag, this.#attributes)
    const { depth } = this.#limits
    return depth >= 0 && this.#open.length > depth ? 'it is nested too deeply' : problem
  }

  #countChild(): string | undefined {
    const parent = this.#open.at(-1)
    const { children } = this.#limits
    if (parent === undefined || ++parent.children <= children || children < 0) return undefined
    return 'an element has too many children'
  }

  #takeCloseName(point: number): string | undefined {
    if (point === 0x3e) return this.#closeTag(this.#word)
    if (isSpace(point)) {
      this.#state = wants.afterCloseName
      return undefined
    }
    const isGood = this.#word === '' ? isNameStart(point) : isName(point)
    if (this.#state === wants.afterCloseName || !isGood) return noXml
    this.#word += String.fromCodePoint(point)
    return undefined
  }

  #closeTag(name: string): string | undefined {
    this.#state = wants.content
    this.#textLength = 0
    this.#passText()
    if (this.#open.pop()?.name !== name) return noXml
    this.#receiver?.close(name)
    return undefined
  }

  // References.

  #beginReference(isInValue: boolean): void {
    this.#isInValue = isInValue
    this.#word = ''
    this.#state = wants.reference
  }

  #takeReference(point: number): string | undefined {
    if (point !== 0x3b) {
      this.#word += String.fromCodePoint(point)
      return this.#word.length > longestReference ? noXml : undefined
    }
    const meant = referred(this.#word)
    if (meant === undefined) {
      return /^[A-Za-z_:][\w.:-]*$/.test(this.#word) ? 'it refers to an entity' : noXml
    }
    this.#state = this.#isInValue ? wants.value : wants.content
    return this.#isInValue ? this.#addValue(meant) : this.#addText(meant)
  }

  // What begins with `<!` or `<?`.

  #takeDeclaration(point: number): string | undefined {
    this.#word += String.fromCodePoint(point)
    const word = this.#word
    if (word === '--') {
      this.#length = 0
      this.#state = wants.comment
      return this.#countChild()
    }
    if (word === '[CDATA[') {
      this.#state = wants.cdata
      return this.#open.length === 0 ? noXml : undefined
    }
    if (word === 'DOCTYPE') return 'it has a document type'
    return '--'.startsWith(word) || '[CDATA['.startsWith(word) || 'DOCTYPE'.startsWith(word)
      ? undefined
      : noXml
  }

  #takeComment(point: number): string | undefined {
    if (this.#state === wants.commentEnd) {
      this.#state = wants.content
      // XML 1.0, section 2.5: no `--` inside.
      return point === 0x3e ? undefined : noXml
    }
    if (point === 0x2d) {
      this.#state = this.#state === wants.comment ? wants.commentDash : wants.commentEnd
      return undefined
    }
    const problem = this.#state === wants.commentDash ? this.#addComment() : undefined
    this.#state = wants.comment
    return problem ?? this.#addComment()
  }

  #addComment(): string | undefined {
    const { commentLength } = this.#limits
    return ++this.#length > commentLength && commentLength >= 0 ? 'a comment is too long' : undefined
  }

  #takeCdata(point: number): string | undefined {
    if (point === 0x5d) {
      if (this.#state === wants.cdataEnd) return this.#addText(point)
      this.#state = this.#state === wants.cdata ? wants.cdataBracket : wants.cdataEnd
      return undefined
    }
    if (point === 0x3e && this.#state === wants.cdataEnd) {
      this.#state = wants.content
      return undefined
    }
    let problem: string | undefined
    if (this.#state !== wants.cdata) problem = this.#addText(0x5d)
    if (this.#state === wants.cdataEnd) problem ??= this.#addText(0x5d)
    this.#state = wants.cdata
    return problem ?? this.#addText(point)
  }

  #takeTarget(point: number): string | undefined {
    if (this.#word === '' ? isNameStart(point) : isName(point)) {
      this.#word += String.fromCodePoint(point)
      return undefined
    }
    const isDeclaration = this.#word === 'xml'
    // XML 1.0, section 2.6: names like this one are reserved.
    if (this.#word === '' || (isDeclaration ? !this.#mayDeclare : /^xml$/i.test(this.#word))) return noXml
    this.#mayDeclare = false
    this.#declaration = isDeclaration ? '' : null
    this.#length = 0
    if (!isSpace(point) && point !== 0x3f) return noXml
    this.#state = point === 0x3f ? wants.targetEnd : wants.instruction
    if (isDeclaration) this.#declaration = ' '
    return isDeclaration ? undefined : this.#countChild()
  }

  #takeInstruction(point: number): string | undefined {
    const isEnding = this.#state === wants.instructionEnd
    if (isEnding && point === 0x3e) return this.#endInstruction()
    const problem = isEnding ? this.#addInstruction(0x3f) : undefined
    this.#state = point === 0x3f ? wants.instructionEnd : wants.instruction
    return point === 0x3f ? problem : (problem ?? this.#addInstruction(point))
  }

  #addInstruction(point: number): string | undefined {
    if (this.#declaration === null) return this.#addComment()
    this.#declaration += String.fromCodePoint(point)
    return this.#declaration.length > longestDeclaration ? noXml : undefined
  }

  #endInstruction(): string | undefined {
    this.#state = wants.content
    if (this.#declaration === null) return undefined
    const said = xmlDeclaration.exec(this.#declaration)
    if (said === null) return noXml
    return said[3] === undefined || /^(utf-8|us-ascii)$/i.test(said[3]) ? undefined : notUtf8
  }
}

/** The character that a reference stands for, by what is between `&` and `;`. */
function referred(name: string): number | undefined {
  if (!name.startsWith('#')) return Object.hasOwn(predefined, name) ? predefined[name] : undefined
  const isHex = name.startsWith('#x')
  const digits = name.slice(isHex ? 2 : 1)
  if (!(isHex ? /^[0-9a-fA-F]+$/ : /^[0-9]+$/).test(digits)) return undefined
  const point = Number.parseInt(digits, isHex ? 16 : 10)
  return isCharacter(point) ? point : undefined
}

/** XML 1.0, section 2.2. */
function isCharacter(point: number): boolean {
  if (point < 0x20) return point === 0x09 || point === 0x0a || point === 0x0d
  return point <= 0xd7ff || (point >= 0xe000 && point <= 0xfffd) || (point >= 0x10000 && point <= 0x10ffff)
}

const isSpace = (point: number) => point === 0x20 || point === 0x0a || point === 0x09 || point === 0x0d

/** XML 1.0, section 2.3. */
function isNameStart(point: number): boolean {
  if (point < 0x80) {
    const letter = point | 0x20
    return (letter >= 0x61 && letter <= 0x7a) || point === 0x3a || point === 0x5f
  }
  return (
    (point >= 0xc0 && point <= 0x2ff && point !== 0xd7 && point !== 0xf7) ||
    (point >= 0x370 && point <= 0x1fff && point !== 0x37e) ||
    (point >= 0x200c && point <= 0x200d) ||
    (point >= 0x2070 && point <= 0x218f) ||
    (point >= 0x2c00 && point <= 0x2fef) ||
    (point >= 0x3001 && point <= 0xd7ff) ||
    (point >= 0xf900 && point <= 0xfdcf) ||
    (point >= 0xfdf0 && point <= 0xfffd) ||
    (point >= 0x10000 && point <= 0xeffff)
  )
}

function isName(point: number): boolean {
  if (isNameStart(point)) return true
  return (
    (point >= 0x30 && point <= 0x39) ||
    point === 0x2d ||
    point === 0x2e ||
    point === 0xb7 ||
    (point >= 0x300 && point <= 0x36f) ||
    (point >= 0x203f && point <= 0x2040)
  )
}
