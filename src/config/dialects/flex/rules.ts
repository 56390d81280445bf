/** Rules of bindings -> conditions of routes and policies. Expressions are RE2's, and match the whole of a text. */
import { compilePattern } from '../../regular-expression.ts'
import { below, type Place, type Report } from '../../report.ts'
import type { Rule } from './resources.ts'

/** A condition on variables, as `vars` of routes has it. */
export type Condition = readonly unknown[]

/** What RE2 does not have, because it could take exponential time. */
const foreign = /\(\?(?:=|!|<=|<!|>)|\\[1-9]|\\k[<{']/

/**
 * What a rule asks for.
 * @param base path of the API instance, without a slash at its end
 */
export function conditionsOf(rule: Rule, base: string, place: Place, report: Report): Condition[] {
  const { path = '.*', methods = '.*', host = '.*', headers = {} } = rule
  const conditions: Condition[] = []
  if (isSound(path, below(place, 'path'), report) && !takesAll(path)) {
    conditions.push(['uri', '~~', pathPattern(path, base)])
  }
  if (isSound(methods, below(place, 'methods'), report) && !takesAll(methods)) {
    conditions.push(['request_method', ...oneOf(methods)])
  }
  if (isSound(host, below(place, 'host'), report) && !takesAll(host))
    conditions.push(['host', ...oneOf(host)])
  for (const [name, value] of Object.entries(headers)) {
    if (!isSound(value, below(place, 'headers', name), report)) continue
    conditions.push([`http_${name.toLowerCase().replaceAll('-', '_')}`, '~~', whole(value)])
  }
  return conditions
}

/** The expression for the whole path of a request; its groups are those of the rule. */
export function pathPattern(path: string, base: string): string {
  return `^${escaped(base)}(?:${path})$`
}

/** Groups of an expression of which the text is kept. */
export function groupsIn(pattern: string): number {
  const bare = pattern.replace(/\\Q[\s\S]*?(?:\\E|$)|\\[\s\S]|\[\^?\]?(?:\\[\s\S]|\[:\w+:\]|[^\]\\])*\]/g, '')
  return bare.match(/\((?!\?)|\(\?P?</g)?.length ?? 0
}

function takesAll(pattern: string): boolean {
  return pattern === '.*' || pattern === '/.*' || pattern === '^.*$'
}

/** Plain alternatives are compared, which costs less than a search. */
function oneOf(pattern: string): Condition {
  if (!/^[\w-]+(?:\|[\w-]+)*$/.test(pattern)) return ['~~', whole(pattern)]
  const texts = pattern.split('|')
  return texts.length === 1 ? ['==', texts[0]] : ['in', texts]
}

function whole(pattern: string): string {
  return `^(?:${pattern})$`
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

function isSound(pattern: string, place: Place, report: Report): boolean {
  if (foreign.test(pattern.replace(/\\\\/g, ''))) {
    report.add(place, {
      code: 'invalid-value',
      message: 'looks around itself or refers back, which RE2 does not have',
      hint: 'Write it without (?=, (?!, (?<=, (?<! and \\1.',
    })
    return false
  }
  const compiled = compilePattern(whole(pattern), false)
  if ('problem' in compiled) {
    report.add(place, { code: 'invalid-value', message: `the expression ${compiled.problem}` })
    return false
  }
  return true
}
