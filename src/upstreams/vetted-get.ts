// Fetches one small JSON document from an address that others named.
import { vettedFetch, type VettedFetchOptions } from './vetted-fetch.ts'

export interface VettedJson {
  readonly value: unknown
  /** From `Cache-Control`; 0 where the answer must not be kept, absent where it does not say. */
  readonly maxAgeS?: number
}

/** The JSON behind a URL. Rejects as `vettedFetch`, and where what came is not a 200 with JSON. */
export async function getVettedJson(url: string, options: VettedFetchOptions): Promise<VettedJson> {
  const response = await vettedFetch(url, { headers: { accept: 'application/json' } }, options)
  const { status, headers } = response
  if (status !== 200) throw new Error(`the answer has status ${status}`)
  if (!/^application\/([\w.-]+\+)?json\b/i.test(headers.get('content-type') ?? ''))
    throw new Error('it is not JSON')
  const maxAgeS = maxAgeOf(headers.get('cache-control') ?? '')
  const value: unknown = await response.json()
  return { value, ...(maxAgeS !== undefined && { maxAgeS }) }
}

function maxAgeOf(control: string): number | undefined {
  if (/\bno-(store|cache)\b/i.test(control)) return 0
  const seconds = /\bmax-age=(\d{1,9})\b/i.exec(control)?.[1]
  return seconds === undefined ? undefined : Number(seconds)
}
