import { appendFileSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { type WatchOptions, watchConfig } from './watch.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'sluice-watch-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

/** Watches, and lets a test await the changes one by one. */
async function watching(
  t: TestContext,
  sources: string[],
  options: WatchOptions = {},
  isTaken = (_count: number): boolean => true,
) {
  let count = 0
  let wake = () => {}
  const watcher = watchConfig(
    sources,
    () => {
      count++
      wake()
      return isTaken(count)
    },
    { debounce: 5, poll: 0, ...options },
  )
  t.after(() => watcher.close())
  await watcher.ready
  return {
    follow: watcher.follow,
    count: () => count,
    async changes(wanted: number) {
      while (count < wanted) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
}

for (const [name, options] of [
  ['events', { poll: 0 }],
  ['looking now and then', { events: false, poll: 5 }],
] as const) {
  suite(`a watcher by ${name}`, () => {
    test('tells a file that was written again', async (t) => {
      const file = join(await folder(t), 'a.yaml')
      await writeFile(file, 'a: 1')
      const watcher = await watching(t, [file], options)
      await writeFile(file, 'a: 22')
      await watcher.changes(1)
      await writeFile(file, 'a: 333')
      await watcher.changes(2)
    })

    test('tells a file that an editor replaced', async (t) => {
      const path = await folder(t)
      const file = join(path, 'a.yaml')
      await writeFile(file, 'a: 1')
      const watcher = await watching(t, [file], options)
      for (const round of [1, 2]) {
        await writeFile(join(path, '.a.yaml.swp'), `a: new ${round}`)
        await rename(join(path, '.a.yaml.swp'), file)
        await watcher.changes(round)
      }
    })

    test('tells files that come to a folder and go', async (t) => {
      const path = await folder(t)
      const watcher = await watching(t, [path], options)
      await writeFile(join(path, 'b.yaml'), 'b: 1')
      await watcher.changes(1)
      await rm(join(path, 'b.yaml'))
      await watcher.changes(2)
    })

    test('tells a ConfigMap whose folder was swapped', async (t) => {
      const path = await folder(t)
      for (const generation of ['..1', '..2']) {
        await mkdir(join(path, generation))
        await writeFile(join(path, generation, 'a.yaml'), `a: ${generation}`)
      }
      await symlink('..1', join(path, '..data'))
      await symlink('..data/a.yaml', join(path, 'a.yaml'))
      const watcher = await watching(t, [join(path, 'a.yaml')], options)
      await symlink('..2', join(path, '..data_tmp'))
      await rename(join(path, '..data_tmp'), join(path, '..data'))
      await watcher.changes(1)
    })
  })
}

suite('a watcher', () => {
  test('tells nothing when the text stayed the same', async (t) => {
    const path = await folder(t)
    await writeFile(join(path, 'a.yaml'), 'a: 1')
    const watcher = await watching(t, [path])
    await writeFile(join(path, 'a.yaml'), 'a: 1')
    await writeFile(join(path, 'notes.txt'), 'not a configuration')
    await writeFile(join(path, 'b.yaml'), 'b: 1')
    await watcher.changes(1)
    t.assert.equal(watcher.count(), 1)
  })

  test('tells a text again that was not taken, once it is saved again', async (t) => {
    const file = join(await folder(t), 'a.yaml')
    await writeFile(file, 'a: 1')
    const watcher = await watching(t, [file], {}, (count) => count > 2)
    for (const saved of [1, 2, 3]) {
      await writeFile(file, 'a: 2')
      await watcher.changes(saved)
      // Times of files are coarse, and times are what is looked at first.
      await setTimeout(20)
    }
    await writeFile(file, 'a: 2')
    await writeFile(file, 'a: 3')
    await watcher.changes(4)
    t.assert.equal(watcher.count(), 4)
  })

  test('tells a change also where something else is written all the time', async (t) => {
    const path = await folder(t)
    await writeFile(join(path, 'a.yaml'), 'a: 1')
    const watcher = await watching(t, [join(path, 'a.yaml')], { debounce: 200 })
    const writing = setInterval(() => appendFileSync(join(path, 'access.log'), 'GET / 200\n'), 1).unref()
    await writeFile(join(path, 'a.yaml'), 'a: 2')
    await watcher.changes(1)
    clearInterval(writing)
  })

  test('does not call again before a slow call has ended', async (t) => {
    const path = await folder(t)
    const running = { now: 0, most: 0, calls: 0 }
    let release = () => {}
    let entered = () => {}
    const watcher = watchConfig(
      [path],
      async () => {
        running.calls++
        running.most = Math.max(running.most, ++running.now)
        entered()
        await new Promise<void>((resolve) => {
          release = resolve
        })
        running.now--
      },
      { debounce: 1, poll: 1 },
    )
    t.after(() => watcher.close())
    await watcher.ready
    for (const round of [1, 2, 3]) {
      const called = new Promise<void>((resolve) => {
        entered = resolve
      })
      await writeFile(join(path, 'a.yaml'), `a: ${round}`)
      if (round > 1) release()
      await called
    }
    release()
    t.assert.equal(running.most, 1)
    t.assert.equal(running.calls, 3)
  })
})

suite('code that the configuration names', () => {
  test('is watched once it is followed, until other code is', async (t) => {
    const path = await folder(t)
    const [config, one, two] = ['sluice.yaml', 'one.ts', 'two.ts'].map((name) => join(path, name))
    for (const file of [config!, one!, two!]) await writeFile(file, 'before')
    const watched = await watching(t, [config!])
    const since = Date.now() + 60_000
    await watched.follow(async () => [one!], since)
    await writeFile(one!, 'after')
    await watched.changes(1)
    await watched.follow(async () => [two!], since)
    await writeFile(one!, 'again')
    await writeFile(two!, 'after')
    await watched.changes(2)
    await writeFile(config!, 'after')
    await watched.changes(3)
  })

  test('that changed while it was being read is told of', async (t) => {
    const path = await folder(t)
    const [config, code] = [join(path, 'sluice.yaml'), join(path, 'one.ts')]
    const since = Date.now()
    for (const file of [config, code]) await writeFile(file, 'before')
    const watched = await watching(t, [config])
    await watched.follow(async () => [code], since)
    await watched.changes(1)
  })
})
