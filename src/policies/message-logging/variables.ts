/** Variables that hold credentials as they are, or texts in which clients send them. */
const secret =
  /^(?:http_(?:proxy_)?authorization|http_cookie|cookie_\w+|(?:http|arg)_(?:x_)?(?:apikey|api_key|client_secret|access_token|token|auth_token|password)|sent_http_set_cookie|upstream_http_set_cookie|remote_passwd|request_body)$/i
/** The head of the answer is gone when a line is written. */
const answerField = /^(?:sent|upstream)_http_/
const wholeQuery = /^(?:args|query_string|request_uri|request)$/

/** Why a field of a log line may not be filled by this template; undefined when it may. */
export function variableFinding(template: string): string | undefined {
  for (const match of template.matchAll(/\$(?:\{\s*(\w+)[^}]*\}|(\w+))/g)) {
    const name = match[1] ?? match[2]!
    if (secret.test(name)) return `$${name} can hold a credential and is never logged`
    if (answerField.test(name))
      return `$${name} is not supported: fields of the answer are not kept for the log`
    if (wholeQuery.test(name)) {
      return `$${name} holds the values of the query, where clients send keys; use $uri, or $arg_NAME for one value`
    }
  }
  return undefined
}
