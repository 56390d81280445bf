import { serverless } from '../kit/functions/serverless.ts'

export default serverless(
  'serverless-pre-function',
  10000,
  'Runs functions of your own before the other policies of a phase.',
)
