/** What a gateway has on the disk in every moment in which it may be killed, so that it never goes back behind what clients saw. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, suite, test } from 'node:test'
import { type Candidate, HeldConfiguration } from '../../src/config-sync/held-configuration.ts'
import { ConfigurationStore } from '../../src/config-sync/kept-configuration.ts'
import type { SyncedConfiguration } from '../../src/config-sync/protocol/messages.ts'
import type { Registration } from '../../src/config-sync/registration.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { ControlPlane } from '../harness/control-plane.ts'

const log = { ...createLog('error'), error() {} }
const configuration = (name: string): SyncedConfiguration => ({
  resources: { routes: [{ id: name, uri: `/${name}` }] },
})

suite('what is kept', () => {
  let control: ControlPlane
  let registration: Registration
  let folder: string

  before(async () => {
    control = await ControlPlane.start()
    registration = control.registration()
  })
  after(() => control.stop())
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-held-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  /** As a start finds it. */
  const open = () =>
    HeldConfiguration.open({
      registration,
      store: new ConfigurationStore(folder, registration),
      maxSize: 1024 * 1024,
      log,
      clock: Date.now,
    })

  async function published(held: HeldConfiguration, name: string): Promise<Candidate> {
    control.publish(configuration(name))
    return held.verify(control.bundle())
  }

  async function running(name: string): Promise<HeldConfiguration> {
    const held = await open()
    await held.accept(await published(held, name))
    return held
  }

  /** What a gateway that is killed now starts with, in this order. */
  async function afterKill(): Promise<(SyncedConfiguration | undefined)[]> {
    const held = await open()
    return [await held.kept(), await held.earlier()]
  }

  test('is what is about to be put to work, before any client sees it, and what was in force', async () => {
    const held = await running('a')
    assert.deepEqual(await afterKill(), [configuration('a'), undefined])
    await held.applying(await published(held, 'b'), async () => {
      assert.deepEqual((await (await open()).kept())!, configuration('b'))
      assert.deepEqual(await afterKill(), [configuration('b'), configuration('a')])
    })
  })

  test('is one configuration once it is in force', async () => {
    const held = await running('a')
    const next = await published(held, 'b')
    await held.applying(next, async () => {})
    await held.accept(next)
    assert.deepEqual(await afterKill(), [configuration('b'), undefined])
  })

  test('is what was in force when the next one is refused', async () => {
    const held = await running('a')
    const next = await published(held, 'b')
    await held.applying(next, async () => {})
    await held.refuse({ code: 'not-applied', message: '', findings: [] }, next.manifest)
    assert.deepEqual(await afterKill(), [configuration('a'), undefined])
  })

  test('has what ran since a kill as the one in force, when another is about to follow', async () => {
    const first = await running('a')
    await first.applying(await published(first, 'b'), async () => {})
    const second = await open()
    assert.deepEqual(await second.kept(), configuration('b'))
    await second.applying(await published(second, 'c'), async () => {
      assert.deepEqual(await afterKill(), [configuration('c'), configuration('b')])
    })
  })

  test('is the one in force where the next one was edited', async () => {
    const held = await running('a')
    await held.applying(await published(held, 'b'), async () => {})
    const file = join(folder, 'next')
    await writeFile(file, (await readFile(file, 'utf8')).replace('"/b"', '"/x"'))
    assert.deepEqual(await (await open()).kept(), configuration('a'))
  })

  test('is refused where the next one is an older copy', async () => {
    const held = await running('a')
    await held.applying(await published(held, 'b'), async () => {})
    const older = await readFile(join(folder, 'next'))
    const last = await published(held, 'c')
    await held.applying(last, async () => {})
    await held.accept(last)
    await writeFile(join(folder, 'next'), older)
    assert.deepEqual(await afterKill(), [configuration('c'), undefined])
  })
})
