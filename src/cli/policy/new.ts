import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { catalogue } from '../../policies/index.ts'
import { type Command, exitCode, UsageError } from '../command.ts'
import { directoryOption, policyFolder } from './folder.ts'

export const command: Command = {
  name: 'policy new',
  summary: 'Write a policy and its passing test, to start from',
  usage: 'sluice policy new NAME [--directory D]',
  options: [directoryOption],
  examples: ['sluice policy new request-size-limit'],

  async run(argv, io) {
    const { values, positionals } = parseArgs({
      args: argv,
      options: { directory: { type: 'string' } },
      allowPositionals: true,
    })
    if (positionals.length > 1) throw new UsageError(`One name at a time, not ${positionals.join(' ')}`)
    const folder = policyFolder(positionals[0], values.directory, io.cwd)
    const name = basename(folder)
    if (catalogue.has(name)) throw new UsageError(`There is a policy '${name}' already`)
    if (values.directory === undefined && !existsSync(dirname(folder))) {
      throw new UsageError('There is no src/policies here: run this in a checkout, or give --directory')
    }
    if (existsSync(folder)) {
      io.stderr.write(`${folder} exists already\n`)
      return exitCode.failure
    }

    const kit = pathBetween(folder, fileURLToPath(new URL('../../policies/kit', import.meta.url)))
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'policy.ts'), policySource(name, kit))
    await writeFile(join(folder, 'policy.test.ts'), testSource(kit))
    io.stdout.write(nextSteps(name, relative(io.cwd, folder), values.directory))
    return exitCode.ok
  },
}

function pathBetween(from: string, to: string): string {
  return relative(from, to).split(sep).join('/')
}

function nextSteps(name: string, folder: string, directory: string | undefined): string {
  const option = directory === undefined ? '' : ` --directory ${directory}`
  return `Wrote ${join(folder, 'policy.ts')} and ${join(folder, 'policy.test.ts')}

Next:
  sluice policy test ${name}${option}
and, for the gateway to know it, in the catalogue of src/policies/index.ts:
  '${name}',
`
}

function policySource(name: string, kit: string): string {
  return `import { definePolicy, headerName, Type } from '${kit}/index.ts'

export default definePolicy({
  name: '${name}',
  summary: 'Rejects requests without a certain header.',
  stage: 'authorize',
  priority: 0,
  config: Type.Object(
    { header: Type.String({ default: 'X-Tenant', description: 'Header that a request needs.' }) },
    { additionalProperties: false },
  ),
  create({ header }, host) {
    // Once for each binding, before any traffic: everything that does not depend on the request.
    const { lower } = headerName(header)
    const rejected = { status: 403, body: { message: \`\${header} is missing\` } }

    return {
      request({ request }) {
        if (request.headers.has(lower)) return undefined
        host.log.debug({ header }, 'rejected')
        return rejected
      },
    }
  },
})
`
}

function testSource(kit: string): string {
  return `import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runPolicy } from '${kit}/testing.ts'
import policy from './policy.ts'

test('a request with the header reaches the upstream', async () => {
  const run = await runPolicy(policy, { request: { headers: { 'x-tenant': 'a' } } })
  assert.equal(run.verdict, undefined)
  assert.equal(run.upstream?.headers['x-tenant'], 'a')
})

test('a request without it is rejected', async () => {
  const run = await runPolicy(policy, { config: { header: 'X-Team' } })
  assert.equal(run.answer.status, 403)
  assert.equal(run.answer.body, '{"message":"X-Team is missing"}\\n')
})
`
}
