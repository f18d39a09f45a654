// The secret that a browser gets with its first page, so that a page of one browser is of no use in another.
import { randomToken } from '../../../base/id.ts'
import type { Context } from '../route.ts'

const cookieText = /(?:^|;\s*)(?:__Host-)?tollbridge-oauth=([A-Za-z0-9_-]{43})(?:;|$)/

export const findBrowser = ({ headers }: Pick<Context, 'headers'>): string | undefined =>
  cookieText.exec(headers.cookie ?? '')?.[1]

/** Gives the browser a secret of its own, for as long as it is open. Forms of other sites do not bring it along. */
export function newBrowser({ setHeader }: Pick<Context, 'setHeader'>, publicUrl: string): string {
  const secret = randomToken(32)
  const secure = publicUrl.startsWith('https:')
  const name = secure ? '__Host-tollbridge-oauth' : 'tollbridge-oauth'
  setHeader('set-cookie', `${name}=${secret}; Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`)
  return secret
}
