#!/usr/bin/env node
/**
 * The command in a checkout; a release starts `dist/main.js`. It is plain JavaScript and turns the compile cache on
 * before the first TypeScript is read: Node.js would load its own compiler for a single file, 50 ms of every start.
 */
import module from 'node:module'
import { setFlagsFromString } from 'node:v8'

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 24 || (major === 24 && minor < 12)) {
  process.stderr.write(
    `Sluice runs on Node.js 24.12 or later, and this is ${process.version}. In a checkout, 'npm ci' brings Node.js 26, and 'npm run -s sluice -- COMMAND' runs a command with it.\n`,
  )
  process.exit(1)
}
// Those of src/config/regexp-engine.ts, here already: compiled code is taken from the cache under the same flags only.
setFlagsFromString('--enable-experimental-regexp-engine')
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')
setFlagsFromString('--regexp-backtracks-before-fallback=10000')
module.enableCompileCache()
await import('../src/main.ts')
