#!/usr/bin/env node
/**
 * The command in a checkout; a release starts `dist/main.js`. It is plain JavaScript and turns the compile cache on
 * before the first TypeScript is read: Node.js would load its own compiler for a single file, 50 ms of every start.
 */
import { enableCompileCache } from 'node:module'
import { setFlagsFromString } from 'node:v8'

// Those of src/config/regexp-engine.ts, here already: compiled code is taken from the cache under the same flags only.
setFlagsFromString('--enable-experimental-regexp-engine')
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')
setFlagsFromString('--regexp-backtracks-before-fallback=10000')
enableCompileCache()
await import('../src/main.ts')
