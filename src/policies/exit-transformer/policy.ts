import { namedModules, ownFunctions } from '../kit/functions/serverless.ts'
import { definePolicy, type Exchange, openInApisix, Type, type Verdict } from '../kit/index.ts'
import { answerShown, type ExitFunction, shapedBy } from './answer.ts'

/** Functions of one's own for answers that are the gateway's own; configuration of APISIX's `exit-transformer`. */
export default definePolicy({
  name: 'exit-transformer',
  summary: 'Gives the answers that the gateway makes by itself another status, other fields or another body.',
  details:
    'Functions are TypeScript or JavaScript: [Serverless](../guides/serverless.md#answers-of-the-gateways-own). Each gets ' +
    'what the one before it made of the answer, and gives back what takes its place, or nothing; one that throws is told ' +
    'of in the log and changes nothing. Answers of upstreams are not touched, nor are those that come out of a cache or ' +
    'from a service that a policy passes on.\n\nUnlike in APISIX, the functions see every answer that is the gateway’s own, ' +
    'also those to errors of an upstream (502, 503, 504), and see them wherever in the chain they are made. Lua is a ' +
    'finding, with the function that takes its place as a hint.',
  stage: 'transform',
  priority: 22950,
  config: Type.Object(
    { functions: ownFunctions(`${namedModules} Each gets what the one before it made.`, {}, 'exit') },
    openInApisix,
  ),
  create({ functions }, host) {
    const run = functions.map((key) => [key, host.ownFunction(key) as ExitFunction] as const)
    return {
      shape(exchange, answer) {
        let made = answer
        for (const [key, transform] of run) made = transformed(made, transform, key, exchange)
        return made === answer ? undefined : made
      },
    }

    function transformed(answer: Verdict, transform: ExitFunction, key: string, exchange: Exchange): Verdict {
      try {
        return shapedBy(transform(answerShown(answer), exchange, host as never), answer, exchange)
      } catch (error) {
        host.log.error(
          { function: key, error: String(error) },
          'a function failed, the answer stays as it was',
        )
        return answer
      }
    }
  },
})
