import { definePolicy, Type } from '../kit/index.ts'
import { guard, guardFields, JsonScanner, limit } from '../kit/threats/index.ts'

/** Limits of what a JSON body may be; those of the MuleSoft policy of this name. */
export default definePolicy({
  name: 'json-threat-protection',
  summary: 'Keeps JSON from the upstream that is too deep, too long, or not JSON.',
  details:
    'A body is read where its type is JSON (`application/json`, `text/json`, `+json`) or where it has none, byte by byte ' +
    'and without building anything. Up to 64 KiB, or of a length that is not announced, it is read before the upstream gets ' +
    'any of it; a larger one while it passes: what is wrong stops it, with the connection to the upstream, which never has ' +
    'a whole request. Refused are, whatever the limits: text that is ' +
    'not JSON by RFC 8259, bytes that are not UTF-8, a byte order mark, UTF-16, compressed bodies, and two ' +
    '`Content-Type` fields. Two entries of one name in an object, which different readers understand differently, are ' +
    'refused unless `allow_equal_names` is set. Escapes count as the characters that they stand for.\n\nA rejection is ' +
    '`rejected_code` with `{"message":"..."}`; a body above `max_req_body_size` is 413. Limits of -1 are off.\n\nIt runs ' +
    'before other policies read the body; those get one above 64 KiB before it was looked at to its end.',
  stage: 'transform',
  priority: 2820,
  config: Type.Object(
    {
      max_container_depth: limit('Objects and arrays inside of each other.'),
      max_object_entry_count: limit('Entries of an object.'),
      max_object_entry_name_length: limit('Characters (UTF-16) in the name of an entry.'),
      max_array_element_count: limit('Elements of an array.'),
      max_string_value_length: limit('Characters (UTF-16) of a string.'),
      allow_equal_names: Type.Boolean({
        default: false,
        description: 'Whether two entries of an object may have one name.',
      }),
      ...guardFields,
    },
    { additionalProperties: false },
  ),
  create(config, { log }) {
    const limits = {
      depth: config.max_container_depth,
      entries: config.max_object_entry_count,
      nameLength: config.max_object_entry_name_length,
      elements: config.max_array_element_count,
      stringLength: config.max_string_value_length,
      allowsEqualNames: config.allow_equal_names,
    }
    return guard('json', config, log, () => new JsonScanner(limits))
  },
})
