// Routes of passkeys: one's own, and logging a browser in with one.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { Principal } from '../../../identity/principal.ts'
import type { Passkey } from '../../../identity/passkeys/store.ts'
import type { Passkeys } from '../../../identity/passkeys/passkeys.ts'
import { beginSession, refuseForeign, sessionShape, type SessionLoginDeps } from './auth-session.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, isoTime, readId, timeShape } from '../view.ts'

export interface PasskeyRouteDeps extends SessionLoginDeps {
  readonly passkeys: Passkeys
}

const passkeyShape = z
  .strictObject({ id: z.string(), name: z.string(), createdAt: timeShape, lastUsedAt: timeShape.optional() })
  .meta({ id: 'Passkey' })

const object = z.record(z.string(), z.unknown())
const questionShape = z
  .strictObject({
    options: object.describe('For `navigator.credentials`, as JSON (WebAuthn Level 3).'),
    state: z.string().describe('To be sent back with the answer.'),
  })
  .meta({ id: 'PasskeyQuestion' })

const answer = { state: z.string().max(4000), response: object }
const own = '/api/v1/me/passkeys'

const show = ({ id, name, createdAtMs, lastUsedAtMs }: Passkey): z.input<typeof passkeyShape> => ({
  id,
  name,
  createdAt: isoTime(createdAtMs),
  ...(lastUsedAtMs !== undefined && { lastUsedAt: isoTime(lastUsedAtMs) }),
})

/** `/me/passkeys` and `/auth/passkey`. */
export function passkeyRoutes(deps: PasskeyRouteDeps): Route[] {
  return [...ownRoutes(deps), ...loginRoutes(deps)]
}

function ownRoutes(deps: PasskeyRouteDeps): Route[] {
  const { passkeys, logins } = deps
  const common = { permission: 'signed-in', errors: [403, 422] } as const
  return [
    defineRoute({
      ...common,
      method: 'POST',
      path: `${own}/options`,
      audit: false,
      keyless: true,
      summary: 'Asks your browser to make a passkey; your password is needed once more',
      body: z.strictObject({ password: z.string().min(1).max(200) }),
      response: questionShape,
      errors: [403, 422, 429],
      handler: async ({ principal, body, clientIp }) => {
        const username = personal(principal).username
        const user = await logins.verifyPassword({ username, password: body.password }, { ip: clientIp })
        if (!user)
          throw new GatewayError('validation_failed', {
            fields: [{ field: '/password', message: 'is wrong' }],
          })
        const { options, state } = await passkeys.askToRegister(user)
        return { options: { ...options }, state }
      },
    }),
    defineRoute({
      ...common,
      method: 'POST',
      path: own,
      keyless: true,
      summary: 'Keeps the passkey that your browser made',
      body: z.strictObject({ ...answer, name: z.string().trim().min(1).max(100) }),
      response: passkeyShape,
      status: 201,
      errors: [403, 409, 422],
      handler: async ({ principal, body }) =>
        show(await passkeys.register({ id: personal(principal).userId }, body)),
    }),
    defineRoute({
      ...common,
      method: 'GET',
      path: own,
      summary: 'Lists your passkeys',
      response: z.strictObject({ items: z.array(passkeyShape), nextCursor: z.null() }),
      handler: async ({ principal }) => ({
        items: (await passkeys.list(principal.userId)).map(show),
        nextCursor: null,
      }),
    }),
    defineRoute({
      ...common,
      method: 'DELETE',
      path: `${own}/{id}`,
      params: idParams,
      summary: 'Removes a passkey of yours',
      errors: [403, 404],
      handler: async ({ principal, params }) => {
        await passkeys.remove(readId(params.id, 'psk'), personal(principal).userId)
        return undefined
      },
    }),
  ]
}

function loginRoutes(deps: PasskeyRouteDeps): Route[] {
  const common = { method: 'POST', permission: 'public', keyless: true } as const
  return [
    defineRoute({
      ...common,
      path: '/api/v1/auth/passkey/options',
      audit: false,
      summary: 'Asks a browser for a passkey',
      body: z.strictObject({}).optional(),
      response: questionShape,
      errors: [403, 422],
      handler: async (context) => {
        refuseForeign(context, deps.adminUrl())
        const { options, state } = await deps.passkeys.askToLogIn()
        return { options: { ...options }, state }
      },
    }),
    defineRoute({
      ...common,
      path: '/api/v1/auth/passkey',
      audit: 'auth.passkey.create',
      summary: 'Logs a browser in by passkey: sets the cookie of `POST /auth/session`',
      body: z.strictObject(answer),
      response: sessionShape,
      errors: [401, 403, 422],
      handler: async (context) => {
        refuseForeign(context, deps.adminUrl())
        const user = await deps.passkeys.logIn(context.body)
        context.note({ actor: { userId: user.id, username: user.username } })
        return beginSession(deps, context, user)
      },
    }),
  ]
}

/** A key may call and read; it makes no credentials (trust A 22). */
function personal(principal: Principal): Principal {
  if (principal.via !== 'token')
    throw new GatewayError('forbidden', { detail: 'A key cannot manage passkeys; log in to do that.' })
  return principal
}
