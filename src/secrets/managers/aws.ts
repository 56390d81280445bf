/** AWS Secrets Manager: `GetSecretValue` (https://docs.aws.amazon.com/secretsmanager/latest/apireference). */
import type { AwsConfig } from '../../config/secret-managers.ts'
import { ask, refusal } from '../http.ts'
import { longestNameFirst, type SecretManager, type Surroundings } from '../secret.ts'
import { signature } from './aws-signature.ts'

interface SecretValue {
  SecretString?: string
  SecretBinary?: string
  __type?: string
}

export function aws(config: AwsConfig, { now }: Surroundings): SecretManager {
  const { region = 'us-east-1' } = config
  const url = new URL(config.endpoint_url ?? `https://secretsmanager.${region}.amazonaws.com`)
  url.pathname = '/'
  const credentials = {
    accessKeyId: config.access_key_id,
    secretAccessKey: config.secret_access_key,
    sessionToken: config.session_token,
  }
  return {
    candidates: longestNameFirst,
    async read(name, signal) {
      const request = {
        method: 'POST' as const,
        url,
        headers: {
          'Content-Type': 'application/x-amz-json-1.1',
          'X-Amz-Target': 'secretsmanager.GetSecretValue',
        },
        body: JSON.stringify({ SecretId: name, VersionStage: 'AWSCURRENT' }),
      }
      const signed = signature(request, credentials, { region, service: 'secretsmanager' }, now())
      const answer = await ask({ ...request, headers: { ...request.headers, ...signed } }, signal)
      const value = (answer.json ?? {}) as SecretValue
      if (answer.status === 200 && typeof value.SecretString === 'string') return { text: value.SecretString }
      if (answer.status === 200 && typeof value.SecretBinary === 'string') {
        return { text: Buffer.from(value.SecretBinary, 'base64').toString('utf8') }
      }
      if (typeof value.__type === 'string' && value.__type.includes('ResourceNotFoundException'))
        return undefined
      throw refusal(answer)
    },
  }
}
