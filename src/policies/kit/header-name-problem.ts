import { headerName, InvalidHeaderError } from '../../proxy/headers.ts'

/**
 * What is wrong with the name of a field that a policy is told to write; undefined: nothing.
 * @param elsewhere it is written into a message of the policy's own, where the engine has no say
 */
export function headerNameProblem(name: string, elsewhere = false): string | undefined {
  try {
    const { isReserved } = headerName(name)
    return isReserved && !elsewhere ? `the field ${name} is written by the gateway itself` : undefined
  } catch (error) {
    if (error instanceof InvalidHeaderError) return error.message
    throw error
  }
}
