// News of credentials that ended early, so that caches forget them and open streams close.
import type { Log } from '../base/log.ts'
import type { Principal } from './principal.ts'

/** What ended: everything of a user, a key, a login or a consent with its tokens, or every access token there is. */
export type Revocation =
  | { readonly userId: string }
  | { readonly keyId: string }
  | { readonly loginId: string }
  | { readonly tokens: 'all' }
  | { readonly grantId: string }

/** Whether a principal's credential is one of those that ended. */
export function isRevokedBy(revocation: Revocation, principal: Principal): boolean {
  if ('userId' in revocation) return principal.userId === revocation.userId
  if ('keyId' in revocation) return principal.keyId === revocation.keyId
  if ('tokens' in revocation) return principal.via === 'token' || principal.via === 'oauth'
  if ('grantId' in revocation) return principal.grantId === revocation.grantId
  return principal.loginId === revocation.loginId
}

/** Tells every listener, in the order they came. Published after the change is in the store, never before. */
export class Revocations {
  readonly #listeners: ((revocation: Revocation) => void)[] = []
  readonly #log: Log

  constructor(log: Log) {
    this.#log = log
  }

  onRevoked(listener: (revocation: Revocation) => void): void {
    this.#listeners.push(listener)
  }

  /** A listener that fails is logged and keeps none of the others from hearing. */
  publish(revocation: Revocation): void {
    for (const listener of this.#listeners) {
      try {
        listener(revocation)
      } catch (error) {
        this.#log.error({ err: error, ...revocation }, 'a listener for revocations failed')
      }
    }
  }
}
