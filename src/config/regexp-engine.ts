/**
 * Lets V8 run regular expressions in linear time where backtracking takes too long, see docs/decisions/0013. Entry points
 * import this first: V8 takes compiled code from the cache only when it was compiled under the same flags, and flags are
 * the whole process's.
 */
import { setFlagsFromString } from 'node:v8'

setFlagsFromString('--enable-experimental-regexp-engine')
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')
setFlagsFromString('--regexp-backtracks-before-fallback=10000')
