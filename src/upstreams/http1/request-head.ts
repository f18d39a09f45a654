// The head of a request as it is written (RFC 9112, section 3): no value can end its line and begin one of its own.

const tokenPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** RFC 9110, 5.5; everything else, CR, LF and NUL above all, would be another header or another request. */
const badInValue = /[^\t\x20-\x7e\x80-\xff]/
const targetPattern = /^\/[\x21-\x7e]*$/

/** One header with its line end; undefined where the name is no token, or the value could not be written as it is. */
export function headerLine(name: string, value: string): string | undefined {
  return tokenPattern.test(name) && !badInValue.test(value) ? `${name}: ${value}\r\n` : undefined
}

/**
 * The beginning that all requests of one kind to one server share, up to and including the last of `headers`.
 * `host` is that of a WHATWG URL: IPv6 in brackets, the default port left out. Undefined where something of it could
 * not be written.
 */
export function constantHead(
  method: 'POST' | 'GET' | 'DELETE',
  { host, target }: { readonly host: string; readonly target: string },
  headers: readonly (readonly [string, string])[],
): string | undefined {
  if (!targetPattern.test(target)) return undefined
  const lines = [['host', host] as const, ['connection', 'keep-alive'] as const, ...headers].map(
    ([name, value]) => headerLine(name, value),
  )
  return lines.includes(undefined) ? undefined : `${method} ${target} HTTP/1.1\r\n${lines.join('')}`
}
