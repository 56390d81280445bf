#!/usr/bin/env node
import './config/regexp-engine.ts'
import { enableCompileCache } from 'node:module'

// Before anything else is loaded: the second start then takes compiled code from the cache.
enableCompileCache()
const { runProgram } = await import('./cli/program.ts')

// A reader that went away (`sluice policy list | head -1`) is no failure.
process.stdout.on('error', () => {})

const code = await runProgram(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  isTTY: process.stdout.isTTY,
})
process.exit(code)
