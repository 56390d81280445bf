import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ModuleVersions } from './module-versions.ts'

test('counts what was loaded and is in use no more, each version once', () => {
  const versions = new ModuleVersions()
  assert.equal(versions.besides(['a?1']), 0)
  versions.add(['a?1', 'b?1'])
  versions.add(['a?2', 'b?1'])
  assert.equal(versions.besides(['a?2', 'b?1']), 1)
  assert.equal(versions.besides(['a?3', 'b?1']), 2, 'what is still to be loaded is no old version')
  versions.add(['a?1'])
  assert.equal(versions.besides(['a?1', 'b?1']), 1, 'going back costs nothing')
  assert.equal(versions.besides([]), 3)
})

test('has room for what is there already, and for more until too much of it is old', () => {
  const versions = new ModuleVersions()
  versions.add(['a?1'])
  assert.equal(versions.haveRoom(['a?2'], 2), true)
  versions.add(['a?2'])
  versions.add(['a?3'])
  assert.equal(versions.haveRoom(['a?4'], 2), false)
  assert.equal(versions.haveRoom(['a?3'], 2), true)
  assert.equal(versions.haveRoom([], 2), true)
})
