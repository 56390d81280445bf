import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { parseArgs } from 'node:util'
import type { CliIo, Command, CommandGroup } from './command.ts'
import { program, runProgram } from './program.ts'

const greet: Command = {
  name: 'greet',
  summary: 'Say hello',
  usage: 'demo greet [--to NAME]',
  options: [{ flags: '--to NAME', text: 'Whom to greet (default: you)' }],
  examples: ['demo greet --to Ada'],
  async run(argv, io) {
    const { values } = parseArgs({ args: argv, options: { to: { type: 'string', default: 'you' } } })
    io.stdout.write(`Hello, ${values.to}\n`)
    return 0
  },
}
const fail: Command = {
  name: 'fail now',
  summary: 'Throw',
  usage: 'demo fail now',
  examples: ['demo fail now'],
  run: () => Promise.reject(new Error('out of luck')),
}
const failures: CommandGroup = {
  name: 'fail',
  summary: 'Ways to fail',
  usage: 'demo fail COMMAND',
  examples: ['demo fail now'],
  commands: { now: async () => ({ command: fail }) },
}
const demo: CommandGroup = {
  name: '',
  summary: 'A demonstration',
  usage: 'demo COMMAND',
  examples: ['demo greet'],
  commands: { greet: async () => ({ command: greet }), fail: async () => ({ command: failures }) },
}

suite('running a command', () => {
  test('hands over what follows its name, and returns its code', async () => {
    assert.deepEqual(await run(['greet', '--to', 'Ada']), { code: 0, stdout: 'Hello, Ada\n', stderr: '' })
  })

  test('an error that nobody expected is a failure, with its stack', async () => {
    const { code, stdout, stderr } = await run(['fail', 'now'])
    assert.equal(code, 1)
    assert.equal(stdout, '')
    assert.match(stderr, /^Error: out of luck\n {4}at /)
  })

  test('what the system refuses is said in one line', async () => {
    const { open } = await import('node:fs/promises')
    const missing: Command = { ...greet, run: async () => (await open('/nowhere/at/all')).fd }
    const { code, stderr } = await run(['greet'], {
      ...demo,
      commands: { greet: async () => ({ command: missing }) },
    })
    assert.equal(code, 1)
    assert.match(stderr, /^ENOENT: [^\n]*\n$/)
  })
})

suite('a wrong command line', () => {
  test('an unknown command: exit 2 and the name that was meant', async () => {
    const answer = await run(['gret'])
    assert.deepEqual(answer, {
      code: 2,
      stdout: '',
      stderr: "Unknown command 'gret'. Did you mean 'greet'?\nSee 'sluice --help'.\n",
    })
  })

  test('an unknown command that is like no other: all names', async () => {
    const { code, stderr } = await run(['frobnicate'])
    assert.equal(code, 2)
    assert.match(stderr, /Commands: greet, fail/)
  })

  test('a name that every object has is not a command', async () => {
    assert.equal((await run(['constructor'])).code, 2)
  })

  test('an unknown option of a command', async () => {
    const { code, stderr } = await run(['greet', '--from', 'Ada'])
    assert.equal(code, 2)
    assert.match(stderr, /--from/)
    assert.match(stderr, /See 'sluice greet --help'\.\n$/)
  })

  test('no command at all', async () => {
    const { code, stderr } = await run([])
    assert.equal(code, 2)
    assert.match(stderr, /^Which command\? One of: greet, fail\n/)
  })
})

suite('help', () => {
  const greetHelp = `Say hello.

Usage: demo greet [--to NAME]

Options:
  --to NAME   Whom to greet (default: you)
  -h, --help  Show this help

Examples:
  demo greet --to Ada
`

  test('of a command, asked for in three ways', async () => {
    for (const argv of [
      ['greet', '--help'],
      ['greet', '--to', 'Ada', '-h'],
      ['help', 'greet'],
    ]) {
      assert.deepEqual(await run(argv), { code: 0, stdout: greetHelp, stderr: '' })
    }
  })

  test('of the program lists the commands with their summaries', async () => {
    const { code, stdout } = await run(['--help'])
    assert.equal(code, 0)
    assert.match(stdout, /Commands:\n {2}greet {2}Say hello\n {2}fail {3}Ways to fail\n/)
  })

  test('of a group of commands', async () => {
    const { stdout } = await run(['fail', '--help'])
    assert.match(stdout, /Commands:\n {2}now {2}Throw\n/)
    assert.match(stdout, /'sluice fail COMMAND --help' explains one command\./)
  })

  test('after -- is an argument, not a question', async () => {
    const { code, stdout } = await run(['greet', '--', '--help'])
    assert.equal(code, 2, 'greet takes no arguments')
    assert.equal(stdout, '')
  })
})

test('every command of the gateway explains itself with an example', async () => {
  for await (const [path, command] of tree(program)) {
    assert.equal(command.name, path, 'a command is called what the tree calls it')
    assert.match(command.summary, /^[A-Z].*[^.]$/, `summary of ${path}`)
    assert.ok(command.usage.startsWith(`sluice ${path}`.trim()), `usage of ${path}`)
    assert.ok(command.examples.length > 0, `examples of ${path}`)
    for (const example of command.examples) assert.match(example, /\bsluice\b/)

    const { code, stdout } = await run([...path.split(' ').filter(Boolean), '--help'], program)
    assert.equal(code, 0)
    assert.ok(stdout.includes(command.examples[0]!), `help of ${path} shows its example`)
  }
})

async function* tree(
  command: Command | CommandGroup,
  path = '',
): AsyncGenerator<[path: string, command: Command | CommandGroup]> {
  yield [path, command]
  if (!('commands' in command)) return
  for (const [name, load] of Object.entries(command.commands)) {
    yield* tree((await load()).command, `${path} ${name}`.trim())
  }
}

async function run(argv: string[], root: CommandGroup = demo) {
  let stdout = ''
  let stderr = ''
  const io: CliIo = {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env: {},
    cwd: process.cwd(),
    isTTY: false,
  }
  const code = await runProgram(argv, io, root)
  return { code, stdout, stderr }
}
