/** A release as it is published and as the image has it: compiled, with production dependencies and nothing else. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'
import { commands } from '../../src/cli/commands.ts'
import { read, root } from '../rules/repository.ts'

const exec = promisify(execFile)

suite('a release', () => {
  let folder: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-release-'))
    await node(
      root,
      'node_modules/typescript/bin/tsc',
      '-p',
      'tsconfig.build.json',
      '--outDir',
      join(folder, 'dist'),
    )
    await cp(join(root, 'package.json'), join(folder, 'package.json'))
    await linkProductionDependencies(join(folder, 'node_modules'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  test('starts, and knows its version', async () => {
    const { version } = JSON.parse(read('package.json')) as { version: string }
    const { stdout } = await node(folder, 'dist/main.js', 'version', '--format', 'json')
    assert.equal(JSON.parse(stdout).version, version)
  })

  for (const name of Object.keys(commands)) {
    test(`loads '${name}' without a development dependency`, async () => {
      const { stdout } = await node(folder, 'dist/main.js', name, '--help')
      assert.match(stdout, new RegExp(`^Usage: sluice ${name}`, 'm'))
    })
  }
})

function node(cwd: string, ...args: string[]) {
  return exec(process.execPath, args, { cwd })
}

/** What `npm ci --omit=dev` would install, from the lock file. */
async function linkProductionDependencies(target: string): Promise<void> {
  interface Locked {
    dev?: boolean
    optional?: boolean
  }
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Locked> }
  const installed = Object.entries(packages)
    .filter(
      ([path, locked]) => /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && !locked.dev && !locked.optional,
    )
    .map(([path]) => path.slice('node_modules/'.length))
  for (const name of installed) {
    await mkdir(dirname(join(target, name)), { recursive: true })
    await symlink(join(root, 'node_modules', name), join(target, name))
  }
}
