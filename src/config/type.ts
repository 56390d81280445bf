/**
 * TypeBox's schema types over a builder of a few lines, with the calls that we use. The schemas are TypeBox's own shape and `Static` infers from
 * them, but importing the package costs 150 to 200 ms in every thread, out of half a second for a whole start.
 */
import type {
  Static,
  TArray,
  TBoolean,
  TEnum,
  TInteger,
  TLiteral,
  TNumber,
  TObject,
  TOptional,
  TProperties,
  TRecord,
  TSchema,
  TString,
  TUnion,
  TUnsafe,
} from 'typebox'

export type { Static, TObject, TOptional, TSchema }

/** Any JSON Schema keyword, `description` and `default` foremost. */
type Options = Record<string, unknown>

const optional = new WeakSet<TSchema>()

export const Type = {
  String: (options?: Options) => ({ type: 'string', ...options }) as unknown as TString,
  Integer: (options?: Options) => ({ type: 'integer', ...options }) as unknown as TInteger,
  Number: (options?: Options) => ({ type: 'number', ...options }) as unknown as TNumber,
  Boolean: (options?: Options) => ({ type: 'boolean', ...options }) as unknown as TBoolean,
  Enum: <const Values extends (string | number)[]>(values: readonly [...Values], options?: Options) =>
    ({ enum: values, ...options }) as unknown as TEnum<Values>,
  Array: <Item extends TSchema>(items: Item, options?: Options) =>
    ({ type: 'array', items, ...options }) as unknown as TArray<Item>,
  Union: <Members extends TSchema[]>(anyOf: [...Members], options?: Options) =>
    ({ anyOf, ...options }) as unknown as TUnion<Members>,
  Literal: <const Value extends string | number | boolean>(value: Value, options?: Options) =>
    ({ const: value, ...options }) as unknown as TLiteral<Value>,
  /** A map. Its keys are strings of any form: the first argument is there because TypeBox has it. */
  Record: <Value extends TSchema>(_key: TString, value: Value, options?: Options) =>
    ({ type: 'object', patternProperties: { '.*': value }, ...options }) as unknown as TRecord<'^.*$', Value>,
  Unsafe: <Value>(schema: Options) => schema as unknown as TUnsafe<Value>,
  Optional<Schema extends TSchema>(schema: Schema): TOptional<Schema> {
    optional.add(schema)
    return schema as TOptional<Schema>
  },
  /** Closed: a property that is not named is an error. */
  Object<Properties extends TProperties>(properties: Properties, options?: Options): TObject<Properties> {
    const required = Object.keys(properties).filter((name) => !optional.has(properties[name] as TSchema))
    return {
      type: 'object',
      properties,
      ...(required.length > 0 && { required }),
      additionalProperties: false,
      ...options,
    } as unknown as TObject<Properties>
  },
}
