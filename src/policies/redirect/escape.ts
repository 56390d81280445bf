/** Percent-encoding of URIs that go into `Location`. Texts have one character a byte. */

/** What nginx escapes in a path: the characters that may not stand there, and those that would end it. */
export function escapeUri(text: string): string {
  return text.replace(/[^!$&-;=@-[\]_a-z~]/g, percentEncoded)
}

/** Controls, of which CR and LF would end the field. */
export function escapeControls(text: string): string {
  return text.replace(/[\x00-\x1f\x7f]/g, percentEncoded)
}

function percentEncoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
