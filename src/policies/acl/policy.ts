import { compileJsonPath, definePolicy, openInApisix, type Split, Type } from '../kit/index.ts'
import { labelReader, type ReadLabel, readAnyForm, separatorOf } from './labels.ts'

const lists = (description: string) =>
  Type.Optional(
    Type.Record(Type.String(), Type.Array(Type.String(), { minItems: 1 }), { minProperties: 1, description }),
  )

type Lists = readonly (readonly [label: string, values: ReadonlySet<unknown>])[]

/** Who may come, by labels; configuration and answers of APISIX's `acl`. */
export default definePolicy({
  name: 'acl',
  summary: 'Lets callers pass, or keeps them out, by the labels of the consumer or the claims of the user.',
  details:
    'A label that has one of the values of `deny_labels` is rejected; with `allow_labels` there has to be one that has ' +
    'one of its values. A rejection is `rejected_code` with `rejected_msg`, or `{"message":"The consumer is ' +
    'forbidden."}`; without a consumer or a user it is 401 with `{"message":"Missing authentication."}`.\n\nWithout a ' +
    'parser, a text in brackets is read as a JSON list, a text with commas as a list, and any other as one value.\n\n' +
    'A user is one whom `openid-connect` or `oauth2-introspection` found; APISIX knows them of other policies only.',
  stage: 'authorize',
  priority: 2410,
  config: Type.Object(
    {
      allow_labels: lists('Values of labels that may pass.'),
      deny_labels: lists('Values of labels that may not.'),
      external_user_label_field: Type.String({
        default: 'groups',
        minLength: 1,
        description: 'JSON path of the label in what is known of a user who is no consumer.',
      }),
      external_user_label_field_key: Type.Optional(
        Type.String({ minLength: 1, description: 'Its name in the lists. Default: the path.' }),
      ),
      external_user_label_field_parser: Type.Optional(
        Type.Enum(['segmented_text', 'json', 'table'], { description: 'How its values are written.' }),
      ),
      external_user_label_field_separator: Type.Optional(
        Type.String({
          minLength: 1,
          description: 'Regular expression between the values of a `segmented_text`.',
        }),
      ),
      rejected_code: Type.Integer({ minimum: 200, default: 403, description: 'Status of a rejection.' }),
      rejected_msg: Type.Optional(Type.String({ description: 'Message of a rejection.' })),
    },
    {
      ...openInApisix,
      allOf: [
        {
          if: {
            required: ['external_user_label_field_parser'],
            properties: { external_user_label_field_parser: { const: 'segmented_text' } },
          },
          // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
          then: { required: ['external_user_label_field_separator'] },
        },
      ],
      anyOf: [{ required: ['allow_labels'] }, { required: ['deny_labels'] }],
    },
  ),
  validate({ external_user_label_field: path, external_user_label_field_separator: separator }) {
    if (compileJsonPath(path) === undefined)
      return `invalid external_user_label_field: ${path} is no JSON path`
    if (separator === undefined) return undefined
    const split = separatorOf(separator)
    return 'problem' in split
      ? `external_user_label_field_separator: the expression ${separator} ${split.problem}`
      : undefined
  },
  create(config) {
    const { external_user_label_field: path, external_user_label_field_separator: separator } = config
    const allow = config.allow_labels && listsOf(config.allow_labels)
    const deny = listsOf(config.deny_labels ?? {})
    const field = config.external_user_label_field_key ?? path
    const query = compileJsonPath(path)!
    const split = separator === undefined ? undefined : (separatorOf(separator) as Split)
    const readField = labelReader(config.external_user_label_field_parser, split)
    const missing = { status: 401, body: { message: 'Missing authentication.' } }
    const rejected = {
      status: config.rejected_code,
      body: { message: config.rejected_msg ?? 'The consumer is forbidden.' },
    }

    return {
      request({ consumer, externalUser }) {
        if (consumer) return decide(consumer.spec.labels ?? {}, readAnyForm)
        if (externalUser === null) return missing
        const found = query(externalUser)
        if (found.length <= 1) return decide({ [field]: found[0] }, readField)
        // Of several values each is read for itself; one that is a list already is taken as it is.
        const values = found.flatMap((value) =>
          typeof value === 'string' ? readField(value) : readAnyForm(value),
        )
        return decide({ [field]: values }, readAnyForm)
      },
    }

    function decide(labels: Readonly<Record<string, unknown>>, read: ReadLabel) {
      if (hasOne(deny, labels, read)) return rejected
      return allow === undefined || hasOne(allow, labels, read) ? undefined : rejected
    }
  },
})

function listsOf(lists: Readonly<Record<string, readonly string[]>>): Lists {
  return Object.entries(lists).map(([label, values]) => [label, new Set<unknown>(values)])
}

function hasOne(lists: Lists, labels: Readonly<Record<string, unknown>>, read: ReadLabel): boolean {
  return lists.some(
    ([label, wanted]) =>
      Object.hasOwn(labels, label) && read(labels[label]).some((value) => wanted.has(value)),
  )
}
