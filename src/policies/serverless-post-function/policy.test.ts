import { testServerless } from '../kit/functions/serverless-test.ts'
import type { AnyPolicy } from '../kit/policy.ts'
import policy from './policy.ts'

testServerless(policy as AnyPolicy, -2000)
