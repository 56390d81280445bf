#!/usr/bin/env node
/**
 * The command in a checkout; a release starts `dist/main.js`. It is plain JavaScript and turns the compile cache on
 * before the first TypeScript is read: Node.js would load its own compiler for a single file, 50 ms of every start.
 */
import { enableCompileCache } from 'node:module'

enableCompileCache()
await import('../src/main.ts')
