// The pages that come with the API: the landing page, the reference, and the OpenAPI document itself.
import { createHash } from 'node:crypto'
import { errorCodes } from '../base/errors.ts'
import { Answer, defineRoute, type Route } from './api/route.ts'
import { titleOf } from './errors.ts'
import type { OpenApiDocument, Operation } from './openapi.ts'

export interface PageOptions {
  /** Asked once, when the first reader comes. */
  document(): OpenApiDocument
  /** Base of the URLs that the landing page shows; known once the gateway listens. */
  readonly publicUrl: () => string
  /** Base of the URL of the API. */
  readonly adminUrl: () => string
}

/** `/`, `/docs` and `/openapi.json`; none needs a credential, none loads anything from elsewhere. */
export function pageRoutes(options: PageOptions): Route[] {
  let document: OpenApiDocument | undefined
  const getDocument = (): OpenApiDocument => (document ??= options.document())
  const common = { method: 'GET', permission: 'public' } as const
  return [
    defineRoute({
      ...common,
      path: '/',
      summary: 'The landing page',
      contentType: 'text/html',
      handler: () => page('Tollbridge', landing(options.publicUrl(), options.adminUrl())),
    }),
    defineRoute({
      ...common,
      path: '/docs',
      summary: 'The API reference as a page',
      contentType: 'text/html',
      handler: () => page('Tollbridge API', reference(getDocument())),
    }),
    defineRoute({
      ...common,
      path: '/openapi.json',
      summary: 'The API reference as OpenAPI 3.1',
      contentType: 'application/json',
      handler: () => new Answer('application/json; charset=utf-8', JSON.stringify(getDocument())),
    }),
  ]
}

const style = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;
padding:0 1rem}code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{padding:.75rem;overflow-x:auto;
border:1px solid #8886;border-radius:4px}table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem .3rem 0;
text-align:left;vertical-align:top;border-bottom:1px solid #8884}`

const policy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`

function page(title: string, body: string): Answer {
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escape(title)}</title>
<meta name="viewport" content="width=device-width"><style>${style}</style></head><body>${body}</body></html>\n`
  return new Answer('text/html; charset=utf-8', html, { headers: { 'content-security-policy': policy } })
}

function landing(publicUrl: string, adminUrl: string): string {
  const endpoint = escape(`${publicUrl}/mcp/NAME`)
  return `<main><h1>Tollbridge</h1>
<p>A metered MCP gateway. It runs; it has no web console yet.</p>
<h2>Connect a client</h2>
<p>Give an MCP client the endpoint of a registered server, and an API key as its bearer token:</p>
<pre>${endpoint}
Authorization: Bearer YOUR_KEY</pre>
<h2>Manage it</h2>
<pre>npx tollbridge login --url ${escape(adminUrl)}
npx tollbridge server ls
npx tollbridge usage summary</pre>
<p><a href="/docs">API reference</a> · <a href="/openapi.json">OpenAPI 3.1</a> · <a href="/readyz?verbose">Readiness</a></p>
</main>`
}

function reference(document: OpenApiDocument): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  const byTag = Map.groupBy(operations, ({ operation }) => (operation['tags'] as string[])[0] ?? '')
  const sections = [...byTag].map(
    ([tag, rows]) => `<h2 id="${escape(tag)}">${escape(tag)}</h2><table>
<tr><th>Route</th><th>Does</th><th>For</th></tr>${rows.map(routeRow).join('')}</table>`,
  )
  return `<main><h1>${escape(document.info.title)} API ${escape(document.info.version)}</h1>
<p>Shapes are in <a href="/openapi.json">the OpenAPI document</a>. Errors are problems (RFC 9457) with one of the
<a href="#errors">codes below</a>.</p>${sections.join('')}${errorTable()}</main>`
}

function routeRow(row: { path: string; method: string; operation: Operation }): string {
  const { operation } = row
  const open = Array.isArray(operation['security']) && operation['security'].length === 0
  const named = operation['x-permission']
  const permission = typeof named === 'string' ? named : open ? 'everybody' : 'signed in'
  return `<tr><td><code>${row.method.toUpperCase()} ${escape(row.path)}</code></td><td>${escape(operation.summary)}</td>
<td>${escape(permission)}</td></tr>`
}

function errorTable(): string {
  const rows = Object.entries(errorCodes).map(
    ([code, { status, sentence }]) => `<tr id="error-${code}"><td><code>${code}</code></td><td>${status}</td>
<td>${escape(titleOf(code))}. ${escape(sentence)}</td></tr>`,
  )
  return `<h2 id="errors">Errors</h2><table><tr><th>Code</th><th>Status</th><th>Means</th></tr>${rows.join('')}</table>`
}

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
