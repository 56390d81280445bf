/** A release as it is published and as the image has it: compiled, with production dependencies and nothing else. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
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

  test('packs what it needs and nothing else, and runs from there', async () => {
    for (const file of ['LICENSE', 'README.md', 'CHANGELOG.md'])
      await cp(join(root, file), join(folder, file))
    const { stdout } = await exec('npm', ['pack', '--json', '--ignore-scripts'], { cwd: folder })
    const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }]
    const roots = new Set(files.map(({ path }) => path.split('/')[0]!))
    assert.deepEqual([...roots].toSorted(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'package.json'])

    const unpacked = join(folder, 'unpacked')
    await mkdir(unpacked)
    await exec('tar', ['-xzf', join(folder, filename), '-C', unpacked])
    await symlink(join(folder, 'node_modules'), join(unpacked, 'package/node_modules'))
    const { bin } = JSON.parse(read('package.json')) as { bin: { sluice: string } }
    const packed = await node(join(unpacked, 'package'), bin.sluice, 'version')
    assert.match(packed.stdout, /\d+\.\d+\.\d+/)
    assert.deepEqual(await importsOutside(join(unpacked, 'package')), [])
  })

  for (const name of Object.keys(commands)) {
    test(`loads '${name}' without a development dependency`, async () => {
      const { stdout } = await node(folder, 'dist/main.js', name, '--help')
      assert.match(stdout, new RegExp(`^Usage: sluice ${name}`, 'm'))
    })
  }
})

/** Relative imports of the code in a package that lead to no file of it. */
async function importsOutside(folder: string): Promise<string[]> {
  const all = await readdir(folder, { recursive: true })
  const code = all.filter((file) => file.endsWith('.js') && !file.startsWith('node_modules'))
  const astray: string[] = []
  for (const file of code) {
    const text = await readFile(join(folder, file), 'utf8')
    for (const [, specifier] of text.matchAll(/(?:from|import\()\s*['"](\.[^'"$]*\.js)['"]/g)) {
      const target = join(dirname(file), specifier!)
      if (!all.includes(target)) astray.push(`${file} imports ${specifier}`)
    }
  }
  assert.ok(code.length > 100)
  return astray
}

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
