/** What a reviewer should not have to look for. */
import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { posix } from 'node:path'
import { suite, test } from 'node:test'
import { files, grep, read, root, textFiles } from './repository.ts'

const code = files.filter((file) => /^(src|test|bench|examples)\/.*\.(ts|mjs|js)$/.test(file))

suite('no file names', () => {
  test('a path of the machine it was written on', () => {
    assert.deepEqual(grep(/(?<![\w.$}*])\/(home|Users|work|farm|mnt|workspaces?)\/\w/, textFiles), [])
  })

  test('the host of a package registry', () => {
    const hosts = [
      ['registry', 'npmjs'],
      ['registry', 'yarnpkg'],
      ['deb', 'debian'],
    ].map((parts) => parts.join('\\.'))
    assert.deepEqual(grep(new RegExp(hosts.join('|')), textFiles), [])
  })

  test('work that was left over', () => {
    const markers = [
      ['TO', 'DO'],
      ['FIX', 'ME'],
      ['XX', 'X'],
      ['HA', 'CK'],
    ].map((parts) => parts.join(''))
    assert.deepEqual(grep(new RegExp(`\\b(${markers.join('|')})\\b`), code), [])
  })
})

suite('tests', () => {
  const tests = code.filter((file) => file.endsWith('.test.ts'))

  test('none is switched off', () => {
    assert.deepEqual(grep(/\b(?:it|test|describe|suite)\.(?:only|skip|todo)\b/, tests), [])
  })

  test('none asserts what is always true', () => {
    assert.deepEqual(grep(/assert(?:\.ok)?\((?:true|1)\)|expect\(true\)/, tests), [])
  })

  test('every example is run by one', () => {
    const examples = new Set(files.flatMap((file) => /^examples\/([^/]+)\//.exec(file)?.[1] ?? []))
    const texts = tests.filter((file) => file.startsWith('test/')).map(read)
    const forgotten = [...examples].filter((name) => !texts.some((text) => text.includes(`examples/${name}`)))
    assert.deepEqual(forgotten, [])
  })
})

suite('the package', () => {
  interface Package {
    dependencies: Record<string, string>
    devDependencies: Record<string, string>
  }
  interface Locked {
    dev?: boolean
    hasInstallScript?: boolean
    optionalDependencies?: Record<string, string>
  }
  const manifest = JSON.parse(read('package.json')) as Package
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Locked> }

  test('versions are exact', () => {
    const all = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
    assert.deepEqual(
      all.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version)),
      [],
    )
  })

  test('the lock file records no download addresses', () => {
    assert.deepEqual(grep(/"resolved"/, ['package-lock.json']), [])
  })

  test('the lock file has the packages of every platform', () => {
    const wanted = Object.values(packages).flatMap((locked) => Object.keys(locked.optionalDependencies ?? {}))
    assert.ok(wanted.length > 0)
    assert.deepEqual(
      wanted.filter((name) => !(`node_modules/${name}` in packages)),
      [],
    )
  })

  test('no dependency of the gateway runs a script when it is installed', () => {
    const scripted = Object.entries(packages).filter(([, locked]) => locked.hasInstallScript && !locked.dev)
    assert.deepEqual(
      scripted.map(([name]) => name),
      [],
    )
  })
})

suite('documentation', () => {
  const pages = files.filter((file) => file.endsWith('.md'))

  test('links to files lead somewhere', () => {
    const dead = pages.flatMap((page) =>
      linksOf(page)
        .map((link) => posix.join(posix.dirname(page), link))
        .filter((target) => !existsSync(root + target))
        .map((target) => `${page} -> ${target}`),
    )
    assert.deepEqual(dead, [])
  })

  test('every decision is listed', () => {
    const records = files.flatMap((file) => /^docs\/decisions\/(\d{4}-.*\.md)$/.exec(file)?.[1] ?? [])
    const list = read('docs/decisions/README.md')
    assert.ok(records.length >= 8)
    assert.deepEqual(
      records.filter((record) => !list.includes(`(${record})`)),
      [],
    )
  })

  test('the scripts that documents name exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const named = pages.flatMap((page) =>
      [...read(page).matchAll(/npm run (?:-s )?([\w:]+)/g)].map((match) => match[1]!),
    )
    assert.deepEqual(
      [...new Set(named)].filter((name) => !(name in scripts)),
      [],
    )
  })

  /** Relative targets of inline links, without their anchors. */
  function linksOf(page: string): string[] {
    const prose = read(page).replace(/```.*?```|`[^`\n]*`/gs, '')
    return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
      .map((match) => match[1]!.replace(/#.*$/, ''))
      .filter((link) => link !== '' && !/^[a-z]+:/.test(link))
  }
})

test('scripts are executable', () => {
  const scripts = files.filter((file) => /^\.ci\//.test(file) || file.endsWith('.sh'))
  assert.deepEqual(
    scripts.filter((file) => (statSync(root + file).mode & 0o111) === 0),
    [],
  )
})
