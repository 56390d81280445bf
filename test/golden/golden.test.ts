/**
 * Each folder beside this file is a configuration with the findings it must give, in `findings.txt`. After a wanted
 * change, `UPDATE_GOLDEN=1` writes the files anew; read what changed before it goes in.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, suite, test } from 'node:test'
import { check } from '../../src/config/check.ts'
import { load } from '../../src/config/load.ts'
import { type Finding, type FindingCode, findingCodes, formatFinding } from '../../src/config/problem.ts'
import { catalogue, policySchemas } from '../../src/policies/index.ts'
import { readerOf } from '../../src/secrets/reader.ts'
import { verifySecrets } from '../../src/secrets/verification.ts'

const env = { UPSTREAM_HOST: 'users.internal', ROUTE_ID: 'r1' }

const folders = readdirSync(import.meta.dirname, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)

async function findingsOf(name: string): Promise<Finding[]> {
  const folder = join(import.meta.dirname, name)
  const files = readdirSync(folder).filter((file) => file !== 'findings.txt')
  const checked = check(await load(files, env, folder), policySchemas(catalogue), { gatewayVersion: '0.0.0' })
  return (await verifySecrets(checked, readerOf({ env, cwd: folder }))).findings
}

suite('golden configurations', () => {
  for (const name of folders) {
    test(name, async (t) => {
      const text = (await findingsOf(name)).map(formatFinding).join('')
      const path = join(import.meta.dirname, name, 'findings.txt')
      if (process.env.UPDATE_GOLDEN === '1') writeFileSync(path, text)
      t.assert.equal(text, readFileSync(path, 'utf8'))
    })
  }
})

suite('all golden configurations together', () => {
  let all: Finding[]
  before(async () => {
    all = (await Promise.all(folders.map(findingsOf))).flat()
  })

  test('give every finding that a file alone can give', (t) => {
    const elsewhere: FindingCode[] = [
      'file-not-found',
      'file-unreadable',
      'no-configuration',
      'unknown-setting',
      'mismatched-certificate',
      'certificate-not-valid',
      // Of code, which test/policies/own-policies.test.ts and test/policies/serverless.test.ts have.
      'invalid-policy',
      'invalid-function',
      'unknown-function',
      'too-many-versions',
    ]
    const codes = new Set<string>([...all.map((finding) => finding.code), ...elsewhere])
    t.assert.deepEqual(
      Object.keys(findingCodes).filter((code) => !codes.has(code)),
      [],
    )
  })

  test('place every finding', (t) => {
    for (const finding of all) t.assert.notEqual(finding.line, undefined, formatFinding(finding))
  })

  test('print no value that could be a secret', (t) => {
    for (const finding of all) {
      t.assert.doesNotMatch(formatFinding(finding), /secret-of-the-house|s3cret|auth-one/)
    }
  })
})
