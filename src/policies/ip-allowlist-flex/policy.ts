import {
  addressList,
  addressListConfig,
  addressListDetails,
  addressListProblem,
} from '../kit/flex/address-list.ts'
import { rejection } from '../kit/flex/rejection.ts'
import { definePolicy } from '../kit/index.ts'

/** Configuration of the Flex policy of that name. */
export default definePolicy({
  name: 'ip-allowlist-flex',
  summary: 'Lets only client addresses pass that are on a list.',
  details: addressListDetails,
  stage: 'authorize',
  priority: 2999,
  config: addressListConfig,
  validate: addressListProblem,
  create(config) {
    const isListed = addressList(config)
    const rejected = rejection(403, 'The client address is not allowed')
    return { request: (exchange) => (isListed(exchange) ? undefined : rejected) }
  },
})
