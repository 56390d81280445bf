import { serverless } from '../kit/functions/serverless.ts'

export default serverless(
  'serverless-post-function',
  -2000,
  'Runs functions of your own after the other policies of a phase.',
)
