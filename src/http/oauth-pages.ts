// The pages of login and consent: plain HTML that needs no script, loads nothing and can be framed by nobody.
import { createHash } from 'node:crypto'
import { scopes } from '../identity/scopes.ts'
import type { Asked } from '../oauth/authorizations.ts'
import { Answer } from './api/route.ts'

const style = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:3rem auto;
padding:0 1rem}h1{font-size:1.4rem}label{display:block;margin:.8rem 0}input{display:block;width:100%;font:inherit;
padding:.5rem;box-sizing:border-box}button{font:inherit;padding:.5rem 1.2rem;margin:1rem .6rem 0 0}code{font-family:
ui-monospace,monospace;overflow-wrap:anywhere}.warning{border-left:4px solid #c60;padding-left:.8rem}.who{opacity:.8}`
const styleHash = createHash('sha256').update(style).digest('base64')

/** Where people can log in beside here. */
export type Elsewhere = readonly { readonly name: string; readonly title: string }[]

interface Failure {
  readonly text: string
  readonly status: number
}

/** Where the user name and the password are asked for. */
export function loginPage(
  asked: Asked,
  interaction: string,
  { failure, elsewhere }: { readonly failure?: Failure | undefined; readonly elsewhere: Elsewhere },
): Answer {
  const said = failure ? `<p class="warning" role="alert">${escape(failure.text)}</p>` : ''
  const body = `<h1>Log in to go on</h1>${who(asked)}${said}
<form method="post" action="login"><input type="hidden" name="interaction" value="${escape(interaction)}">
<label>User name<input name="username" autocomplete="username" required maxlength="200" autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required maxlength="200"></label>
<button>Log in</button></form>${links('login-elsewhere', { interaction }, elsewhere)}`
  return page('Log in', body, { status: failure?.status ?? 200 })
}

/** Where the user says whether the client may. */
export function consentPage(asked: Asked, interaction: string, username: string): Answer {
  const wanted = asked.scopes
    .map((scope) => `<li>${escape(scopes[scope])} <code>${scope}</code></li>`)
    .join('')
  const body = `<h1>Allow ${escape(asked.clientName)}?</h1>${who(asked)}
<p>You are <strong>${escape(username)}</strong>. At <code>${escape(asked.resource)}</code> it wants to:</p><ul>${wanted}</ul>
<p>The answer goes to <code>${escape(asked.redirectHost)}</code>.</p>${warning(asked)}
<form method="post" action="consent"><input type="hidden" name="interaction" value="${escape(interaction)}">
<button name="decision" value="allow">Allow</button><button name="decision" value="deny">Do not allow</button></form>`
  return page('Allow access', body, { leadsAway: true })
}

/** Where a user logs in to let the gateway use a server as them. */
export function connectPage(
  { link, server, host }: { readonly link: string; readonly server: string; readonly host: string },
  { failure, elsewhere }: { readonly failure?: Failure | undefined; readonly elsewhere: Elsewhere },
): Answer {
  const said = failure ? `<p class="warning" role="alert">${escape(failure.text)}</p>` : ''
  const body = `<h1>Connect ${escape(server)}</h1>
<p>Tollbridge wants to use <strong>${escape(server)}</strong> at <code>${escape(host)}</code> as you. Log in here first; then you
are taken to where that server’s own login is, to say yes.</p>
<p class="warning">Go on only if you asked for this yourself, just now.</p>${said}
<form method="post" action="start"><input type="hidden" name="link" value="${escape(link)}">
<label>User name<input name="username" autocomplete="username" required maxlength="200" autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required maxlength="200"></label>
<button>Log in and go on</button></form>${links('../login-elsewhere', { link }, elsewhere)}`
  return page(`Connect ${server}`, body, { status: failure?.status ?? 200, leadsAway: true })
}

export function connectedPage(server: string): Answer {
  const body = `<h1>Connected</h1><p>Tollbridge may use <strong>${escape(server)}</strong> as you. You can close this page and go back.</p>`
  return page('Connected', body, {})
}

/** What went wrong, told to the user alone: nobody is redirected anywhere. */
export function faultPage(message: string, status: number, retryAfterS?: number): Answer {
  const body = `<h1>This did not work</h1><p>${escape(message)}</p>`
  return page('This did not work', body, { status, ...(retryAfterS !== undefined && { retryAfterS }) })
}

/** Links, not forms: what a form leads to may be held against the page's policy. */
function links(path: string, from: Readonly<Record<string, string>>, elsewhere: Elsewhere): string {
  return elsewhere
    .map(({ name, title }) => {
      const query = new URLSearchParams({ ...from, name }).toString()
      return `<p><a href="${escape(`${path}?${query}`)}">Log in with ${escape(title)}</a></p>`
    })
    .join('')
}

function who({ clientName, clientHost }: Asked): string {
  const vouched =
    clientHost === undefined
      ? 'It registered itself; nobody has checked its name.'
      : `It is described by <code>${escape(clientHost)}</code>.`
  return `<p class="who">An application that calls itself <strong>${escape(clientName)}</strong> asks for access. ${vouched}</p>`
}

function warning({ isLoopback, clientHost, redirectHost }: Asked): string {
  if (isLoopback)
    return '<p class="warning">That is a program on your own machine. Allow it only if you have just started it yourself.</p>'
  if (clientHost === redirectHost) return ''
  return '<p class="warning">Allow it only if you know this address and came from there yourself.</p>'
}

interface PageOptions {
  readonly status?: number
  /**
   * The answer to the page's form redirects to the client, and that may redirect on, to an application on the machine
   * say. Some browsers hold all of that against `form-action`, so that such a page cannot have it.
   */
  readonly leadsAway?: boolean
  readonly retryAfterS?: number
}

function page(title: string, body: string, { status = 200, leadsAway, retryAfterS }: PageOptions): Answer {
  const forms = leadsAway ? '' : "; form-action 'self'"
  const policy = `default-src 'none'; style-src 'sha256-${styleHash}'; frame-ancestors 'none'; base-uri 'none'${forms}`
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escape(title)} · Tollbridge</title>
<meta name="viewport" content="width=device-width"><style>${style}</style></head><body><main>${body}</main></body></html>\n`
  return new Answer('text/html; charset=utf-8', html, {
    status,
    headers: {
      'content-security-policy': policy,
      'x-frame-options': 'DENY',
      // With no-referrer a browser would hide the form's origin, which is checked.
      'referrer-policy': 'same-origin',
      ...(retryAfterS !== undefined && { 'retry-after': String(retryAfterS) }),
    },
  })
}

const escape = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
