import type { PathSegment } from './problem.ts'

/** A place in a text; both numbers begin at 1. */
export interface Position {
  line: number
  column: number
}

/** Where something stands, as far as its document cannot be asked: in a document that was made of others. */
export interface LocatedPosition extends Partial<Position> {
  file?: string
  /** In that file. */
  path?: string
}

/** A place that a finding wants: a value, or the key that it stands under. */
export interface Wanted {
  path: readonly PathSegment[]
  at: 'key' | 'value'
}

/** Wanted places as a tree, so that one walk over a text finds them all. */
export interface WantedNode {
  /** Indices into the list of wanted places. */
  keys: number[]
  values: number[]
  children: Map<PathSegment, WantedNode>
}

export function wantedTree(wanted: readonly Wanted[]): WantedNode {
  const root = wantedNode()
  wanted.forEach(({ path, at }, index) => {
    let node = root
    for (const segment of path) {
      let child = node.children.get(segment)
      if (child === undefined) {
        child = wantedNode()
        node.children.set(segment, child)
      }
      node = child
    }
    if (at === 'key') node.keys.push(index)
    else node.values.push(index)
  })
  return root
}

const wantedNode = (): WantedNode => ({ keys: [], values: [], children: new Map() })

/** A value stands for itself and, until they turn up, for everything that is wanted below it. */
export function reportAll(
  node: WantedNode,
  offset: number,
  found: (index: number, offset: number) => void,
): void {
  for (const index of node.values) found(index, offset)
  for (const child of node.children.values()) {
    for (const index of child.keys) found(index, offset)
    reportAll(child, offset, found)
  }
}

/** Turns offsets into lines and columns. */
export class LineIndex {
  readonly #starts: number[] = [0]

  constructor(text: string) {
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.#starts.push(at + 1)
  }

  position(offset: number): Position {
    let low = 0
    let high = this.#starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#starts[middle]! <= offset) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: offset - this.#starts[low]! + 1 }
  }
}
