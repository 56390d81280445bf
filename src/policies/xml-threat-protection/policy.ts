import { definePolicy, Type } from '../kit/index.ts'
import { guard, guardFields, limit, XmlScanner } from '../kit/threats/index.ts'

/** Limits of what an XML body may be; those of the MuleSoft policy of this name. */
export default definePolicy({
  name: 'xml-threat-protection',
  summary: 'Keeps XML from the upstream that is too deep, too long, or refers to entities.',
  details:
    'A body is read where its type is XML (`application/xml`, `text/xml`, `+xml`) or where it has none, character by ' +
    'character and without building anything. Up to 64 KiB, or of a length that is not announced, it is read before the upstream gets ' +
    'any of it; a larger one while it passes: what is wrong stops it, with the connection to the upstream, which never has ' +
    'a whole request. Refused are, whatever the limits: ' +
    'text that is not well-formed XML 1.0, document types (`<!DOCTYPE`) and with them every entity but `&lt;`, `&gt;`, ' +
    '`&amp;`, `&quot;` and `&apos;`, encodings other than UTF-8, compressed bodies, and two `Content-Type` fields. ' +
    'References count as the characters that they stand for; a text goes on over the comments in it.\n\nA rejection is ' +
    '`rejected_code` with `{"message":"..."}`; a body above `max_req_body_size` is 413. Limits of -1 are off.\n\nIt runs ' +
    'before other policies read the body; those get one above 64 KiB before it was looked at to its end.',
  stage: 'transform',
  priority: 2815,
  config: Type.Object(
    {
      max_node_depth: limit('Elements inside of each other.'),
      max_attribute_count_per_element: limit('Attributes of an element.'),
      max_child_count: limit('Elements, comments and processing instructions in an element.'),
      max_text_length: limit('Characters of a text.'),
      max_attribute_length: limit('Characters in the value of an attribute.'),
      max_comment_length: limit('Characters of a comment or a processing instruction.'),
      ...guardFields,
    },
    { additionalProperties: false },
  ),
  create(config, { log }) {
    const limits = {
      depth: config.max_node_depth,
      attributes: config.max_attribute_count_per_element,
      children: config.max_child_count,
      textLength: config.max_text_length,
      attributeLength: config.max_attribute_length,
      commentLength: config.max_comment_length,
    }
    return guard('xml', config, log, () => new XmlScanner(limits))
  },
})
