import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

// What a directory says is tested with one, in test/policies/ldap.test.ts.
const needed = { ldapServerUserDn: 'cn=gateway', ldapServerUserPassword: 'x', ldapSearchBase: 'dc=example' }

test('who presents nothing is refused, and nobody is asked', async () => {
  const { run } = bindPolicy(policy, { config: needed })
  for (const authorization of [
    undefined,
    'Bearer x',
    'Basic !',
    `Basic ${btoa('ada:')}`,
    `Basic ${btoa(':x')}`,
  ]) {
    const { answer, upstream } = await run({ headers: authorization === undefined ? {} : { authorization } })
    assert.deepEqual(
      [answer.status, answer.headers['www-authenticate'], upstream],
      [401, 'Basic realm="mule-realm"', undefined],
    )
  }
})

test('what it does not take', () => {
  for (const [config, finding] of [
    [{ ldapServerURL: 'http://a' }, /ldapServerURL: write ldap/],
    [{ ldapServerUserDn: '' }, /ldapServerUserDn/],
    [{ ldapServerUserPassword: '' }, /ldapServerUserPassword/],
    [{ ldapSearchBase: '' }, /ldapSearchBase/],
    [{ ldapSearchFilter: '(|(uid={0})(mail={0}))' }, /ldapSearchFilter: write/],
    [{ ldapSearchFilter: '(uid=ada)' }, /ldapSearchFilter: write/],
    [{ ldapSearchInSubtree: 'yes' }, /ldapSearchInSubtree/],
    [{ ssl_verify: 1 }, /ssl_verify/],
    [{ timeout: 0 }, /timeout/],
    [{ other: 1 }, /other/],
  ] as const) {
    assert.throws(() => bindPolicy(policy, { config: { ...needed, ...config } as never }), finding)
  }
})
