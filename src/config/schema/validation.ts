/** One value against a prepared schema: what is wrong with it, and the schema's defaults filled in. */
import { copy, equal } from '../copy.ts'
import type { PathSegment } from '../problem.ts'
import { isSecretReference } from '../secret-reference.ts'
import type {
  AnyRules,
  Dependency,
  ListRules,
  MapRules,
  Node,
  NumberRules,
  SchemaObject,
  StringRules,
} from './node.ts'
import { types } from './node.ts'
import { firstRepetition } from './repetition.ts'

/** What a schema forbids in a value. */
export interface Violation {
  keyword: string
  /** The schema that holds the keyword. */
  schema: SchemaObject
  /** From the value that was checked. */
  path: PathSegment[]
  value: unknown
  /** `required`, `additionalProperties`, `propertyNames`: the property. */
  property?: string
  /** `uniqueItems`: indexes of items that are the same. */
  repetition?: { earlier: number; later: number }
  /** `oneOf`: more than one fits. */
  ambiguous?: boolean
}

/** A schema that refers to itself goes as deep as the value does; beyond this a value is refused. */
const maxDepth = 500

export interface ValidationOptions {
  /**
   * An empty list counts as an empty map where a map is wanted, and the other way round, and becomes one. Default: yes,
   * because Lua has one empty table, and APISIX takes either.
   */
  emptiesAlike?: boolean
  /** A reference to a secret fits wherever a string may stand, because its value is not known yet. */
  references?: boolean
}

/**
 * Checks a value and fills defaults in, in place. A default is filled in before anything else about its map is looked
 * at, and never below `anyOf`, `oneOf`, `not` and `if`, where it may turn out that the branch does not count.
 * @returns everything that is wrong, in the order of the value; nothing: it fits
 */
export function validate(node: Node, value: unknown, options: ValidationOptions = {}): Violation[] {
  const validation = new Validation(options)
  validation.visit(node, value)
  return validation.violations
}

/**
 * Every visit returns whether the value fits. What does not is also collected, except while it is only asked whether a
 * branch fits: then the first violation ends the visit.
 */
class Validation {
  violations: Violation[] = []
  #asking = false
  #filling = true
  readonly #emptiesAlike: boolean
  readonly #path: PathSegment[] = []
  readonly #references: boolean

  constructor({ emptiesAlike = true, references = false }: ValidationOptions) {
    this.#emptiesAlike = emptiesAlike
    this.#references = references
  }

  visit(node: Node, value: unknown): boolean {
    let fits = true
    if (node.types !== 0 && (node.types & typeOf(value)) === 0) return this.#violated(node, 'type', value)
    if (this.#references && typeof value === 'string' && isSecretReference(value)) return true
    if (node.any !== undefined) {
      fits = this.#any(node, node.any, value)
      if (!fits && this.#asking) return false
    }
    switch (typeof value) {
      case 'string':
        if (node.strings !== undefined) fits = this.#string(node, node.strings, value) && fits
        break
      case 'number':
        if (node.numbers !== undefined) fits = this.#number(node, node.numbers, value) && fits
        break
      case 'object':
        if (value === null) break
        if (this.#path.length > maxDepth) return this.#violated(node, 'depth', value)
        if (Array.isArray(value)) {
          if (node.lists !== undefined) fits = this.#list(node, node.lists, value) && fits
        } else if (node.maps !== undefined) {
          fits = this.#map(node, node.maps, value as Record<string, unknown>) && fits
        }
    }
    return fits
  }

  #any(node: Node, rules: AnyRules, value: unknown): boolean {
    let fits = true
    const { values, constant, anyOf, oneOf, allOf } = rules
    if (rules.never) fits = this.#violated(node, 'never', value)
    if (rules.reference !== undefined) fits = this.visit(rules.reference, value) && fits
    if (constant !== undefined && !equal(constant.value, value)) {
      fits = this.#violated(node, 'const', value) && fits
    }
    if (values !== undefined && !values.includes(value) && !values.some((known) => equal(known, value))) {
      fits = this.#violated(node, 'enum', value)
    }
    if (!fits && this.#asking) return false
    if (rules.not !== undefined && this.#asks(rules.not, value)) fits = this.#violated(node, 'not', value)
    if (anyOf !== undefined && this.#fitting(anyOf, value, 1) === 0) {
      fits = this.#settle(node, 'anyOf', anyOf, value)
    }
    if (oneOf !== undefined) fits = this.#one(node, oneOf, value) && fits
    if (!fits && this.#asking) return false
    if (allOf !== undefined) for (const part of allOf) fits = this.visit(part, value) && fits
    if (rules.if !== undefined) {
      const branch = this.#asks(rules.if, value) ? rules.then : rules.else
      if (branch !== undefined) fits = this.visit(branch, value) && fits
    }
    return fits
  }

  #one(node: Node, branches: readonly Node[], value: unknown): boolean {
    const fitting = this.#fitting(branches, value, 2)
    if (fitting === 1) return true
    if (fitting === 0) return this.#settle(node, 'oneOf', branches, value)
    return this.#violated(node, 'oneOf', value, { ambiguous: true })
  }

  /** How many branches fit; no more than `enough` are looked for. */
  #fitting(branches: readonly Node[], value: unknown, enough: number): number {
    let fitting = 0
    for (const branch of branches) if (this.#asks(branch, value) && ++fitting === enough) break
    return fitting
  }

  /** Whether a value fits, without a trace. */
  #asks(node: Node, value: unknown): boolean {
    const asking = this.#asking
    const filling = this.#filling
    this.#asking = true
    this.#filling = false
    const fits = this.visit(node, value)
    this.#asking = asking
    this.#filling = filling
    return fits
  }

  /**
   * Of a choice that nothing fits, what is wrong with the branch that was meant counts: the one whose type fits and of
   * which the least is wrong. When no type fits, the choice itself is wrong.
   */
  #settle(node: Node, keyword: string, branches: readonly Node[], value: unknown): false {
    if (this.#asking) return false
    const { violations } = this
    const filling = this.#filling
    this.#filling = false
    let meant: Violation[] | undefined
    for (const branch of branches) {
      this.violations = []
      this.visit(branch, value)
      const found = this.violations
      if (found.some((violation) => this.#rejectsWhole(violation))) continue
      if (meant === undefined || found.length < meant.length) meant = found
    }
    this.#filling = filling
    this.violations = violations
    if (meant === undefined) return this.#violated(node, keyword, value)
    violations.push(...meant)
    return false
  }

  #rejectsWhole({ keyword, path }: Violation): boolean {
    return path.length === this.#path.length && ['type', 'const', 'enum', 'format'].includes(keyword)
  }

  #string(node: Node, rules: StringRules, value: string): boolean {
    let fits = true
    if (value.length > rules.maxLength && isLonger(value, rules.maxLength)) {
      fits = this.#violated(node, 'maxLength', value)
    }
    if (rules.minLength > 0 && !isLonger(value, rules.minLength - 1)) {
      fits = this.#violated(node, 'minLength', value)
    }
    if (rules.pattern !== undefined && !rules.pattern.test(value))
      fits = this.#violated(node, 'pattern', value)
    if (rules.format !== undefined && !rules.format.fits(value)) fits = this.#violated(node, 'format', value)
    return fits
  }

  #number(node: Node, rules: NumberRules, value: number): boolean {
    if (!Number.isFinite(value)) return true
    let fits = true
    if (value > rules.maximum) fits = this.#violated(node, 'maximum', value)
    if (value < rules.minimum) fits = this.#violated(node, 'minimum', value)
    if (value >= rules.exclusiveMaximum) fits = this.#violated(node, 'exclusiveMaximum', value)
    if (value <= rules.exclusiveMinimum) fits = this.#violated(node, 'exclusiveMinimum', value)
    if (rules.multipleOf !== undefined && !Number.isInteger(value / rules.multipleOf)) {
      fits = this.#violated(node, 'multipleOf', value)
    }
    return fits
  }

  #list(node: Node, rules: ListRules, value: unknown[]): boolean {
    let fits = true
    if (value.length > rules.maxItems) fits = this.#violated(node, 'maxItems', value)
    if (value.length < rules.minItems) fits = this.#violated(node, 'minItems', value)
    if (!fits && this.#asking) return false
    const repetition = rules.unique && value.length > 1 ? firstRepetition(value) : undefined
    if (repetition !== undefined) fits = this.#violated(node, 'uniqueItems', value, { repetition })
    if (rules.items === undefined) return fits
    for (let index = 0; index < value.length; index++) {
      fits = this.#below(rules.items, value, index) && fits
      if (!fits && this.#asking) return false
    }
    return fits
  }

  #map(node: Node, rules: MapRules, value: Record<string, unknown>): boolean {
    let fits = true
    if (this.#filling) {
      for (const { name, value: byDefault } of rules.defaults) {
        if (!has(value, name)) value[name] = copy(byDefault)
      }
    }
    for (const name of rules.required) {
      if (!has(value, name)) fits = this.#violated(node, 'required', value, { property: name })
    }
    if (rules.maxProperties !== Number.POSITIVE_INFINITY || rules.minProperties > 0) {
      const count = Object.keys(value).length
      if (count > rules.maxProperties) fits = this.#violated(node, 'maxProperties', value)
      if (count < rules.minProperties) fits = this.#violated(node, 'minProperties', value)
    }
    if (!fits && this.#asking) return false
    for (const dependency of rules.dependencies) fits = this.#depends(node, dependency, value) && fits
    for (const name in value) {
      fits = this.#property(node, rules, name, value) && fits
      if (!fits && this.#asking) return false
    }
    return fits
  }

  #property(node: Node, rules: MapRules, name: string, map: Record<string, unknown>): boolean {
    let fits = true
    const own = rules.properties.get(name)
    if (own !== undefined && map[name] !== undefined) fits = this.#below(own, map, name)
    let isNamed = own !== undefined
    for (const { pattern, node: matching } of rules.patterns) {
      if (!pattern.test(name)) continue
      isNamed = true
      fits = this.#below(matching, map, name) && fits
    }
    if (!isNamed && rules.additional !== undefined) {
      fits =
        rules.additional.any?.never === true
          ? this.#violated(node, 'additionalProperties', map, { property: name })
          : this.#below(rules.additional, map, name) && fits
    }
    if (rules.names !== undefined && !this.#asks(rules.names, name)) {
      fits = this.#violated(node, 'propertyNames', map, { property: name })
    }
    return fits
  }

  #depends(node: Node, dependency: Dependency, value: Record<string, unknown>): boolean {
    if (!has(value, dependency.property)) return true
    let fits = true
    for (const name of dependency.required) {
      if (!has(value, name)) fits = this.#violated(node, 'required', value, { property: name })
    }
    return (dependency.node === undefined || this.visit(dependency.node, value)) && fits
  }

  #below(node: Node, container: object, segment: PathSegment): boolean {
    const values = container as Record<PathSegment, unknown>
    let value = values[segment]
    if (this.#emptiesAlike && typeof value === 'object' && value !== null && isOtherEmpty(node, value)) {
      value = Array.isArray(value) ? {} : []
      if (this.#filling) values[segment] = value
    }
    this.#path.push(segment)
    const fits = this.visit(node, value)
    this.#path.pop()
    return fits
  }

  #violated(node: Node, keyword: string, value: unknown, more?: Partial<Violation>): false {
    if (!this.#asking) {
      this.violations.push({ keyword, schema: node.schema, path: [...this.#path], value, ...more })
    }
    return false
  }
}

/** An empty list where a map is wanted, or the other way round. */
function isOtherEmpty({ types: wanted }: Node, value: object): boolean {
  if (wanted === 0 || (wanted & typeOf(value)) !== 0) return false
  return (wanted & (types.object | types.array)) !== 0 && Object.keys(value).length === 0
}

/** The type of a value as bits of `types`; 0 for what JSON does not know. */
function typeOf(value: unknown): number {
  switch (typeof value) {
    case 'string':
      return types.string
    case 'number':
      if (Number.isInteger(value)) return types.number | types.integer
      return Number.isFinite(value) ? types.number : 0
    case 'boolean':
      return types.boolean
    case 'object':
      if (value === null) return types.null
      return Array.isArray(value) ? types.array : types.object
    default:
      return 0
  }
}

/** Whether a text has more than so many characters: code points, of which one takes up to two units. */
function isLonger(text: string, limit: number): boolean {
  if (text.length <= limit) return false
  if (text.length > 2 * limit) return true
  let count = 0
  for (const _ of text) if (++count > limit) return true
  return false
}

/** A property of `Object.prototype`, such as `constructor`, does not count. */
function has(map: Record<string, unknown>, name: string): boolean {
  return map[name] !== undefined && Object.hasOwn(map, name)
}
