// A browser as far as login pages need one: cookies, forms, redirects, and the policy that a page is shown under.
import { send, type RawAnswer } from '../trust/bench.ts'

export interface Page {
  readonly url: URL
  readonly answer: RawAnswer
}

export class Browser {
  readonly #cookies = new Map<string, string>()

  /** Opens an address as a link would. */
  async open(address: string | URL): Promise<Page> {
    const url = new URL(address)
    const answer = await send(url.origin, { path: url.pathname + url.search, headers: this.#headers() })
    return this.#keep(url, answer)
  }

  /** Fills in a page's one form and sends it, as a press of the button with this name and value would. */
  async submit(page: Page, fields: Record<string, string>): Promise<Page> {
    const { url, answer } = page
    const action = /<form [^>]*action="([^"]*)"/.exec(answer.text)?.[1]
    if (action === undefined)
      throw new Error(`the page has no form: ${answer.status} ${answer.text.slice(-400)}`)
    const form = new URLSearchParams(hiddenFields(page))
    for (const [name, value] of Object.entries(fields)) form.set(name, value)
    const target = new URL(unescape(action), url)
    const answered = await send(target.origin, {
      method: 'POST',
      path: target.pathname,
      headers: {
        ...this.#headers(),
        origin: url.origin,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: form.toString(),
    })
    return this.#keep(target, answered)
  }

  #headers(): Record<string, string> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    return { accept: 'text/html', ...(cookie !== '' && { cookie }) }
  }

  #keep(url: URL, answer: RawAnswer): Page {
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      this.#cookies.set(name, value)
    }
    return { url, answer }
  }
}

/** What a page sends along without showing it. */
export function hiddenFields({ answer }: Page): Record<string, string> {
  const inputs = answer.text.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)
  return Object.fromEntries([...inputs].map(([, name = '', value = '']) => [name, unescape(value)]))
}

const unescape = (text: string): string =>
  text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')

/** Where a page sends the browser; throws where it shows something instead. */
export function locationOf({ answer }: Page): URL {
  const { location } = answer.headers
  if (answer.status !== 303 || location === undefined)
    throw new Error(`the page does not redirect: ${answer.status} ${answer.text.slice(-400)}`)
  return new URL(location)
}

/** Logs in and consents, or not; resolves with where the client is called back. */
export async function consent(
  address: string | URL,
  user: { username: string; password: string },
  decision: 'allow' | 'deny' = 'allow',
): Promise<URL> {
  const browser = new Browser()
  const asked = await browser.submit(await browser.open(address), user)
  return locationOf(await browser.submit(asked, { decision }))
}
