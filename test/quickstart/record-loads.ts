/** Imported before a program: appends the address of every module that it loads, in all threads, to $LOADED_MODULES. */
import { appendFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

registerHooks({
  load(url, context, nextLoad) {
    appendFileSync(process.env.LOADED_MODULES!, `${url}\n`)
    return nextLoad(url, context)
  },
})
