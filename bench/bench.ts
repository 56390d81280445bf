import type { Opponent } from './opponents/opponent.ts'
import type { Options } from './options.ts'
import type { Section } from './section.ts'
import type { Site } from './site.ts'

/** What every scenario is handed. */
export interface Bench {
  site: Site
  options: Options
  /** Those that were asked for and can run here. */
  opponents: readonly Opponent[]
  /** Says what is being done; one line, without its line end. */
  progress(text: string): void
}

/** One question that the bench answers. */
export interface Scenario {
  name: string
  /** What is measured, in a sentence. */
  summary: string
  run(bench: Bench): Promise<Section>
}
