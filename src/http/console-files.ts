// The web console as files: read once, compressed once, and served from memory, so that no path of a request is ever opened.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'

interface ConsoleFile {
  readonly type: string
  readonly plain: Buffer
  readonly gzipped: Buffer
  readonly etag: string
  /** Its name changes with its content. */
  readonly isLasting: boolean
}

export interface ConsoleFiles {
  /** Answers a request for a file of the console, and for `/`; false for any other. */
  serve(request: IncomingMessage, response: ServerResponse): boolean
  /** Answers a browser that opens an address which is no route: the console knows its own views. False for others. */
  serveView(request: IncomingMessage, response: ServerResponse): boolean
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Scripts, styles, pictures and requests of our own, and nothing else from anywhere. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

const placeholder = '__PUBLIC_URL__'

/**
 * Undefined where the console has not been built. `publicUrl` is where MCP clients reach the gateway, which the page
 * tells people; it is asked for with the first page.
 */
export function openConsole(folder: string, publicUrl: () => string): ConsoleFiles | undefined {
  if (!existsSync(join(folder, 'index.html'))) return undefined
  const files = new Map<string, ConsoleFile>()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const type = types[extname(entry.name)]
    if (!entry.isFile() || type === undefined) continue
    const path = join(entry.parentPath, entry.name)
    const name = path.slice(folder.length).replaceAll('\\', '/')
    if (name !== '/index.html') files.set(name, fileOf(name, type, readFileSync(path)))
  }
  const page = readFileSync(join(folder, 'index.html'), 'utf8')
  let made: ConsoleFile | undefined
  const index = (): ConsoleFile => {
    const text = page.replace(placeholder, () =>
      new URL(publicUrl()).href.replaceAll('"', '%22').replace(/\/$/, ''),
    )
    return (made ??= fileOf('/index.html', 'text/html; charset=utf-8', Buffer.from(text)))
  }
  return {
    serve: (request, response) => {
      const path = request.url?.split('?', 1)[0] ?? ''
      const file = path === '/' ? index() : files.get(path)
      return file !== undefined && answer(file, request, response)
    },
    serveView: (request, response) => {
      const isPage = request.headers.accept?.includes('text/html') === true
      return isPage && answer(index(), request, response)
    },
  }
}

function fileOf(name: string, type: string, plain: Buffer): ConsoleFile {
  const etag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`
  return { type, plain, gzipped: gzipSync(plain, { level: 9 }), etag, isLasting: name.startsWith('/assets/') }
}

function answer(file: ConsoleFile, { method, headers }: IncomingMessage, response: ServerResponse): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false
  const isZipped = /\bgzip\b/.test(headers['accept-encoding'] ?? '')
  const body = isZipped ? file.gzipped : file.plain
  const known = headers['if-none-match'] === file.etag
  response.writeHead(known ? 304 : 200, {
    'content-type': file.type,
    'cache-control': file.isLasting ? 'public, max-age=31536000, immutable' : 'no-cache',
    etag: file.etag,
    vary: 'accept-encoding',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    'content-security-policy': policy,
    ...(!known && { 'content-length': String(body.length) }),
    ...(!known && isZipped && { 'content-encoding': 'gzip' }),
  })
  response.end(known || method === 'HEAD' ? undefined : body)
  return true
}
