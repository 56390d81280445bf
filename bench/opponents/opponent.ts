import type { Site } from '../site.ts'
import type { Work } from '../work.ts'

/** A gateway that can be measured. */
export interface Opponent {
  name: string
  /** Why it cannot take part on this machine; undefined when it can. */
  missing(): string | undefined
  /** It forwards and does nothing else, whatever the work. */
  bare?: boolean
  /** Its code was compiled before it started, so that it needs no warm-up. */
  native?: boolean
  /** Whether it is configured here for such work. */
  does(work: Work): boolean
  /** The file that takes its access log, when it writes one. */
  accessLog?(folder: string): string
  /** Writes its configuration into `folder`; gives the command line that serves `port` of 127.0.0.1. */
  prepare(assignment: Assignment): readonly string[]
}

export interface Assignment {
  site: Site
  folder: string
  port: number
  /** Data threads, for a gateway that has them. */
  workers: number
  work: Work
}
