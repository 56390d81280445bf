/** The properties of the image that operators rely on, read from the Dockerfile; nothing here builds an image. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { read } from '../rules/repository.ts'

interface Instruction {
  name: string
  value: string
}

const stages = readStages(read('Dockerfile'))
const final = stages.at(-1)!
const manifest = JSON.parse(read('package.json')) as { version: string; devDependencies: { node: string } }

suite('the image', () => {
  test('is built in several stages from one base, pinned by its exact version', () => {
    assert.ok(stages.length >= 3)
    const bases = stages.map(({ from }) => from.replace(/ AS \w+$/, ''))
    assert.equal(bases.pop(), 'scratch')
    for (const base of bases) assert.match(base, /^\$\{NODE_IMAGE\}$/)
    assert.match(argument('NODE_IMAGE'), /^node:26\.\d+\.\d+-slim$/)
  })

  test('has the Node.js that development uses', () => {
    assert.equal(argument('NODE_IMAGE'), `node:${manifest.devDependencies.node}-slim`)
  })

  test('holds production dependencies and compiled code only', () => {
    assert.ok(run('app').some((command) => command.startsWith('npm ci --omit=dev --ignore-scripts')))
    assert.ok(stage('app').instructions.some(({ value }) => value === '--from=build /build/dist dist'))
    for (const { name, value } of final.instructions.filter(({ name }) => name === 'COPY')) {
      assert.match(value, /^--from=(base|app) /, `${name} ${value}`)
    }
  })

  test('has no package manager', () => {
    const removed = run('base').join(' ')
    for (const path of ['lib/node_modules', 'bin/npm', 'bin/npx', 'bin/corepack', 'bin/yarn']) {
      assert.ok(removed.includes(`/usr/local/${path}`), path)
    }
    assert.equal(final.from, 'scratch', 'what was removed is in no lower layer')
  })

  test('runs as a user that is not root, given by number', () => {
    assert.match(only('USER'), /^[1-9]\d*:[1-9]\d*$/)
  })

  test('needs no writable root file system', () => {
    assert.match(only('ENV'), /NODE_DISABLE_COMPILE_CACHE=1/)
    assert.deepEqual(
      final.instructions.filter(({ name }) => name === 'VOLUME' || name === 'RUN'),
      [],
    )
  })

  test('makes node process 1, which takes SIGTERM itself', () => {
    assert.deepEqual(JSON.parse(only('ENTRYPOINT')), ['node', '/opt/sluice/dist/main.js'])
    assert.deepEqual(JSON.parse(only('CMD')), ['start', '-c', '/etc/sluice'])
    assert.equal(only('STOPSIGNAL'), 'SIGTERM')
  })

  test('checks its own health', () => {
    assert.match(only('HEALTHCHECK'), /--interval=\S+ --timeout=\S+ .*CMD \["sluice", "healthcheck"\]$/)
    assert.ok(
      run('app').some((command) => command.includes('ln -s /opt/sluice/dist/main.js /usr/local/bin/sluice')),
    )
  })

  test('is labelled with what it is', () => {
    const labels = only('LABEL')
    for (const key of ['title', 'description', 'version', 'revision', 'licenses']) {
      assert.ok(labels.includes(`org.opencontainers.image.${key}=`), key)
    }
    assert.equal(argument('VERSION'), manifest.version)
  })
})

suite('the build context', () => {
  const lines = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))

  test('leaves everything out that is not named', () => {
    assert.equal(lines[0], '*')
  })

  test('has every file that the Dockerfile copies', () => {
    const copied = stages
      .flatMap(({ instructions }) => instructions)
      .filter(({ name, value }) => name === 'COPY' && !value.startsWith('--from='))
      .flatMap(({ value }) => value.split(' ').slice(0, -1))
    assert.ok(copied.length > 0)
    assert.deepEqual(
      copied.filter((file) => !lines.includes(`!${file}`)),
      [],
    )
  })
})

/** Stages in order, with continued lines joined. Arguments before the first FROM belong to a stage of their own name. */
function readStages(text: string): { from: string; instructions: Instruction[] }[] {
  const found: { from: string; instructions: Instruction[] }[] = []
  const joined = text.replace(/^\s*#.*\n/gm, '').replace(/\\\n\s*/g, '')
  for (const line of joined.split('\n').filter(Boolean)) {
    const [, name, value] = /^([A-Z]+) (.*)$/.exec(line)!
    if (name === 'FROM') found.push({ from: value!, instructions: [] })
    else found.at(-1)?.instructions.push({ name: name!, value: value!.replace(/ +/g, ' ') })
  }
  return found
}

function stage(name: string) {
  return stages.find(({ from }) => from.endsWith(` AS ${name}`))!
}

function run(name: string): string[] {
  return stage(name)
    .instructions.filter((instruction) => instruction.name === 'RUN')
    .map(({ value }) => value)
}

/** The value of an instruction that the final stage has once. */
function only(name: string): string {
  const values = final.instructions
    .filter((instruction) => instruction.name === name)
    .map(({ value }) => value)
  assert.equal(values.length, 1, `${values.length} times ${name}`)
  return values[0]!
}

/** The default of a build argument. */
function argument(name: string): string {
  return new RegExp(`^ARG ${name}=(.*)$`, 'm').exec(read('Dockerfile'))![1]!
}
