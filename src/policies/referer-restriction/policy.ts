import { definePolicy, openInApisix, Type } from '../kit/index.ts'

const hosts = (description: string) =>
  Type.Optional(
    Type.Array(
      Type.String({
        pattern: '^\\*$|^\\*?[0-9a-zA-Z-._\\[\\]:]+$',
        'x-form': 'a host name, with * in front for any before it',
      }),
      { minItems: 1, description },
    ),
  )

/** The host of an absolute or scheme-relative URL; an address in brackets keeps them. */
const hostOfUrl = /^(?:https?:)?\/\/(?:[^/?#@\\]*@)?(\[[^\]/?#\\]+\]|[^/?#@:[\]\\]+)(?::\d+)?(?=[/?#]|$)/i

/** From where a page may link here; configuration and answers of APISIX's `referer-restriction`. */
export default definePolicy({
  name: 'referer-restriction',
  summary: 'Lets requests pass, or keeps them out, by the host in their `Referer`.',
  details:
    'A host with `*` in front stands for every host that ends with the rest. A rejection is 403 with ' +
    '`{"message":"..."}`. A `Referer` that is no URL counts as none.',
  stage: 'authorize',
  priority: 2990,
  config: Type.Object(
    {
      bypass_missing: Type.Boolean({ default: false, description: 'Let requests without a referer pass.' }),
      whitelist: hosts('Hosts that may pass. Excludes `blacklist`.'),
      blacklist: hosts('Hosts that may not. Excludes `whitelist`.'),
      message: Type.String({
        minLength: 1,
        maxLength: 1024,
        default: 'Your referer host is not allowed',
        description: 'Sent with a rejection.',
      }),
    },
    { ...openInApisix, oneOf: [{ required: ['whitelist'] }, { required: ['blacklist'] }] },
  ),
  create({ whitelist, blacklist, bypass_missing: bypassMissing, message }) {
    const mayPass = whitelist !== undefined
    const listed = (whitelist ?? blacklist ?? []).map((host) => host.toLowerCase())
    const exact = new Set(listed.filter((host) => !host.startsWith('*')))
    const suffixes = listed.filter((host) => host.startsWith('*')).map((host) => host.slice(1))
    const rejected = { status: 403, body: { message } }

    return {
      request({ request }) {
        const referer = request.headers.get('referer')
        const host = referer === undefined ? undefined : hostOfUrl.exec(referer)?.[1]?.toLowerCase()
        if (host === undefined) return bypassMissing ? undefined : rejected
        const isListed = exact.has(host) || suffixes.some((suffix) => host.endsWith(suffix))
        return isListed === mayPass ? undefined : rejected
      },
    }
  },
})
