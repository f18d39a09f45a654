// Settings of another issuer: whose tokens are taken, and where people log in.
import { z } from 'zod'
import { roles } from '../identity/principal.ts'
import { issuerAlgorithms } from '../oauth/issuers/issuer-terms.ts'
import { choice, publicUrl, section, text } from './values.ts'

const isSecureUrl = (url: string): boolean =>
  !URL.canParse(url) || /^(https:|http:\/\/(localhost|127\.0\.0\.1|\[::1\])[:/])/.test(new URL(url).href)
const issuerUrl = publicUrl.refine(isSecureUrl, 'must be https, or http to this machine')

/** One entry of `oauth.issuers`. */
export const issuer = section({
  issuer: issuerUrl.describe('As its tokens name it in `iss`.'),
  audience: text('must be a text')
    .max(500)
    .optional()
    .describe('What stands for the whole gateway in `aud`. Absent: tokens are for one MCP endpoint.'),
  identityAssertions: z
    .boolean('must be true or false')
    .default(false)
    .describe('Whether its ID-JAGs are taken: it says which clients may act for whom.'),
  jwksUri: issuerUrl.optional().describe('Where its keys are. Absent: as its metadata say.'),
  algorithms: z
    .array(choice(issuerAlgorithms), 'must be a list of algorithms')
    .min(1, 'must name an algorithm')
    .default(['RS256', 'ES256', 'EdDSA']),
  usernameClaim: text('must be a text').max(100).default('preferred_username'),
  groupsClaim: text('must be a text').max(100).default('groups'),
  keepsGroups: z.boolean('must be true or false').default(false),
  login: section({
    name: z
      .string('must be a name')
      .regex(/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/, 'must be 1 to 32 of a-z, 0-9 and -')
      .describe('In the address of the login.'),
    title: text('must be a text').max(60).optional().describe('For people; the name where absent.'),
    clientId: text('must be a text').max(500).describe('Who the gateway is there.'),
    clientSecret: text('must be a text').max(500).optional(),
    scopes: z
      .array(text('must be a scope').max(100), 'must be a list of scopes')
      .max(20)
      .default(['profile', 'email']),
  })
    .optional()
    .describe('People log in to the gateway there (OpenID Connect).'),
  roles: z
    .record(z.string().min(1).max(200), choice(roles), 'must map groups to roles')
    .default({})
    .describe('Group → role. Empty: roles are managed in the gateway.'),
})
