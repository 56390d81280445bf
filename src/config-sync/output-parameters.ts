/** Parameters of one output, in the manner of Fluent Bit: names have no case, and a switch is a word. */
export class OutputParameters {
  readonly #values = new Map<string, unknown>()

  constructor(parameters: Readonly<Record<string, unknown>>) {
    for (const [name, value] of Object.entries(parameters)) this.#values.set(name.toLowerCase(), value)
  }

  text(name: string, byDefault = ''): string {
    const value = this.#values.get(name)
    return typeof value === 'string' || typeof value === 'number' ? String(value) : byDefault
  }

  isOn(name: string, byDefault: boolean): boolean {
    const value = this.#values.get(name)
    if (typeof value === 'boolean') return value
    return value === undefined ? byDefault : /^(on|true|yes|1)$/i.test(String(value))
  }

  list(name: string): string[] {
    const value = this.#values.get(name)
    return (Array.isArray(value) ? value : value === undefined ? [] : [value]).map(String)
  }

  /** Written as one text with commas, or as a list. */
  words(name: string): string[] {
    return this.list(name)
      .flatMap((text) => text.split(','))
      .map((word) => word.trim())
      .filter((word) => word !== '')
  }

  /** In lower case. */
  names(): string[] {
    return [...this.#values.keys()]
  }
}
