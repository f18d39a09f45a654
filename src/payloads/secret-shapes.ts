// How secrets look that nobody has named: by the names of what holds them, and by their own shape.

/** Stands for what is not kept. */
export const masked = '***'

/** Parts of names, in small letters without anything between them. */
const secretNames =
  /passw(?:or)?d|passphrase|passcode|secret|token|apikey|accesskey|privatekey|signingkey|credential|authorization|cookie|cardnumber|cvv|cvc/

/** Whether a member of this name (in small letters) is a secret. A number of tokens is none, nor is a yes or no. */
export function namesSecret(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return false
  const bare = name.replaceAll(/[^a-z0-9]/g, '')
  if (typeof value === 'number' && bare.endsWith('tokens')) return false
  return secretNames.test(bare)
}

/**
 * Keys of ours and of others, bearer tokens, JWTs, private keys, and what follows a secret's name in text. Each starts
 * only where its text does, and reads on without a second way, so that none takes more than linear time.
 */
const secretTexts = [
  /(?<![A-Za-z0-9_-])tb_[A-Za-z0-9_-]{16,}/g,
  /\b(?:Bearer|Basic) {1,5}[A-Za-z0-9._~+/=-]{8,}/gi,
  /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?/g,
  /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?/g,
  /(?<![A-Za-z0-9_-])(?:sk|rk|pk|ghp|gho|ghs|glpat|xox[abprs]|AKIA)[-_]?[A-Za-z0-9_-]{16,}/g,
  /(?<=\b(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?token|token)["']?[ \t]{0,5}[:=][ \t]{0,5})["']?[^\s"',;&]+/gi,
]

/** The text with everything masked that looks like a secret. */
export function maskSecrets(text: string): string {
  let rest = text
  for (const pattern of secretTexts) rest = rest.replaceAll(pattern, masked)
  return rest
}
