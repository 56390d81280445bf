/** What the metrics of a gateway say at one moment: the text format of Prometheus, as far as the gateway writes it. */

export interface Sample {
  labels: Readonly<Record<string, string>>
  value: number
}

export class Reading {
  readonly #samples = new Map<string, Sample[]>()

  /** Lines that are no samples are passed over. */
  constructor(text: string) {
    for (const line of text.split('\n')) {
      const parts = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line)
      if (parts === null) continue
      const [, name, labels = '', value] = parts as unknown as [string, string, string | undefined, string]
      const sample = { labels: readLabels(labels), value: value === '+Inf' ? Infinity : Number(value) }
      const known = this.#samples.get(name)
      if (known === undefined) this.#samples.set(name, [sample])
      else known.push(sample)
    }
  }

  samples(name: string): readonly Sample[] {
    return this.#samples.get(name) ?? []
  }

  sum(name: string, accepts: (labels: Sample['labels']) => boolean = () => true): number {
    return this.samples(name).reduce((sum, { labels, value }) => (accepts(labels) ? sum + value : sum), 0)
  }

  /** Undefined: there is no such sample. */
  most(name: string): number | undefined {
    const values = this.samples(name).map(({ value }) => value)
    return values.length === 0 ? undefined : Math.max(...values)
  }
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const [, name, value] of text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
    labels[name!] = value!.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
  }
  return labels
}
