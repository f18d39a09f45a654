// The secrets of webhooks as they are kept: sealed, and sealed anew when a key is replaced.
import { sealKeyId } from '../base/seal.ts'
import type { SealedSecrets } from './webhook.ts'

export interface SecretSeal {
  /** Of the key that seals now. */
  readonly sealKeyId: string
  seal(text: string, context: string): string
  open(sealed: string, context: string): string
}

const contextOf = (webhookId: string): string => `webhook:${webhookId}`

export class WebhookSecrets {
  readonly #seal: SecretSeal

  constructor(seal: SecretSeal) {
    this.#seal = seal
  }

  seal(webhookId: string, secret: string | undefined): SealedSecrets {
    return secret === undefined ? {} : { current: this.#seal.seal(secret, contextOf(webhookId)) }
  }

  /** Those that sign now, the current one first. */
  open(webhookId: string, { current, former }: SealedSecrets, nowMs: number): string[] {
    const sealed = [current, former && former.untilMs > nowMs ? former.sealed : undefined]
    return sealed.flatMap((text) => (text === undefined ? [] : this.#seal.open(text, contextOf(webhookId))))
  }

  /** How many of these another key has sealed than the one that seals now. */
  countSealedOtherwise({ current, former }: SealedSecrets): number {
    const texts = [current, former?.sealed].filter((text) => text !== undefined)
    return texts.filter((text) => sealKeyId(text) !== this.#seal.sealKeyId).length
  }

  reseal(webhookId: string, { current, former }: SealedSecrets): SealedSecrets {
    const anew = (text: string): string =>
      this.#seal.seal(this.#seal.open(text, contextOf(webhookId)), contextOf(webhookId))
    return {
      ...(current !== undefined && { current: anew(current) }),
      ...(former && { former: { ...former, sealed: anew(former.sealed) } }),
    }
  }
}
