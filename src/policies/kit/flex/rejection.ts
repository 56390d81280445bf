/** What policies of Flex Gateway answer where they let nothing pass. */

import type { Verdict } from '../../../proxy/exchange.ts'
import { headerBlock } from '../../../proxy/headers.ts'

/** @param challenge value of `WWW-Authenticate` */
export function rejection(status: number, error: string, challenge?: string): Verdict {
  return {
    status,
    body: JSON.stringify({ error }),
    contentType: 'application/json; charset=UTF-8',
    ...(challenge !== undefined && { headers: headerBlock([['WWW-Authenticate', challenge]]) }),
  }
}
