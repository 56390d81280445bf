/** What Amazon Comprehend takes in one call: https://docs.aws.amazon.com/comprehend/latest/APIReference/API_DetectToxicContent.html */

const mostSegments = 10
/** Below the 10 KB of the service, which does not say what it counts. */
const mostBytes = 10_000

/** Cuts a text into segments of at most `limit` bytes, between characters, and those into calls. */
export function segmentsOf(text: string, limit: number): string[][] {
  const calls: string[][] = []
  let segments: string[] = []
  let total = 0
  for (const { segment, size } of cut(text, limit)) {
    if (segments.length === mostSegments || (segments.length > 0 && total + size > mostBytes)) {
      calls.push(segments)
      segments = []
      total = 0
    }
    segments.push(segment)
    total += size
  }
  if (segments.length > 0) calls.push(segments)
  return calls
}

function* cut(text: string, limit: number): Generator<{ segment: string; size: number }> {
  const whole = Buffer.from(text)
  for (let from = 0; from < whole.length; ) {
    let to = Math.min(from + limit, whole.length)
    while (to < whole.length && (whole[to]! & 0xc0) === 0x80) to--
    yield { segment: whole.toString('utf8', from, to), size: to - from }
    from = to
  }
}
