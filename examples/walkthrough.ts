/** The commands that an example's README walks through, so that they are written in one place. */
import { readFileSync } from 'node:fs'

export interface Step {
  /** The sentence above the block. */
  text: string
  command: string
  /** What the block shows below the command. */
  answer: string
}

/**
 * Reads the console blocks of a Markdown text. Each begins with a prompt:
 *
 *     ```console
 *     $ curl http://127.0.0.1:9080/users/1
 *     {"id":1}
 *     ```
 */
export function walkthrough(file: URL): Step[] {
  const blocks = readFileSync(file, 'utf8').matchAll(/(?:^|\n)([^\n]+)\n+```console\n\$ ([^\n]+)\n(.*?)```/gs)
  return [...blocks].map(([, text, command, answer]) => ({ text: text!, command: command!, answer: answer! }))
}
