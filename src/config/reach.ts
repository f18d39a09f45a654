// Where the gateway can be reached, as the settings have it: from this machine alone, or also from others.
import type { Config } from './config.ts'

/** Whether a host means this machine only. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)

/** Whether whoever reaches the listener of administration is on this machine: no other address, and no proxy before it. */
export function isReachedLocallyOnly({ admin, http, ...open }: Config): boolean {
  const { host, publicUrl } = admin.port === undefined ? open : admin
  const isPublic = publicUrl !== undefined && !isLoopback(new URL(publicUrl).hostname)
  return isLoopback(host) && !isPublic && http.trustedProxies.length === 0
}

/** Whether passwords and codes may cross the wire to a public URL: where it is https, or stays on this machine. */
export const isSafeForLogin = ({ publicUrl, host }: Pick<Config, 'publicUrl' | 'host'>): boolean => {
  if (publicUrl === undefined) return isLoopback(host)
  const { protocol, hostname } = new URL(publicUrl)
  return protocol === 'https:' || isLoopback(hostname)
}

/** Whether the gateway is an authorization server of its own. */
export const hasAuthorizationServer = (config: Pick<Config, 'oauth' | 'publicUrl' | 'host'>): boolean =>
  config.oauth.enabled ?? isSafeForLogin(config)
