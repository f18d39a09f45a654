// The MCP endpoint that a client asks a token for, as its one canonical URL.
import { OauthError } from './oauth-error.ts'

const endpointPath = /^\/mcp(\/[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?)?$/

/**
 * The resource indicator of a request (RFC 8707): the URL of one of our MCP endpoints, written as its metadata writes it.
 * A slash at its end is forgiven. Whether there is such a server is not said here.
 */
export function readResource(text: string | undefined, publicUrl: string): string {
  const plain = text?.replace(/\/$/, '')
  if (plain === undefined || !isEndpoint(plain, publicUrl))
    throw new OauthError('invalid_target', 'Name the MCP endpoint in resource, as its metadata does.')
  return plain
}

/** Whether a URL is that of one of our MCP endpoints, written in the one way in which we write it. */
export const isEndpoint = (url: string, publicUrl: string): boolean =>
  url.startsWith(publicUrl) && endpointPath.test(url.slice(publicUrl.length))
