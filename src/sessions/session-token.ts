// What is stored of a session's wire token.
import { hash } from 'node:crypto'

/** Enough to know it again; the token itself has 192 random bits, so nobody finds it from this. */
export const hashToken = (token: string): string => hash('sha256', token, 'base64url')
