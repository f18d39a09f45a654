// Routes of logging in and out, and of the caller itself.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import { loginInput, logoutInput, passwordChange, refreshInput } from '../../../identity/logins.ts'
import type { LoginAnswer, Logins } from '../../../identity/logins.ts'
import { roles } from '../../../identity/principal.ts'
import { registerInput, type Users } from '../../../identity/users.ts'
import type { User } from '../../../identity/user-store.ts'
import { defineRoute, type Context, type Route } from '../route.ts'

export interface AuthRouteDeps {
  readonly logins: Logins
  readonly users: Users
}

const loginShape = z
  .strictObject({
    token: z.string().describe('Access token; send it as `Authorization: Bearer`.'),
    refreshToken: z.string().describe('Good for one exchange at `/auth/refresh`.'),
    expiresIn: z.int().describe('Seconds that the access token lives.'),
    userId: z.string(),
    username: z.string(),
    roles: z.array(z.enum(roles)),
  })
  .meta({ id: 'Login' })

const meShape = z
  .strictObject({
    userId: z.string(),
    username: z.string(),
    email: z.string().optional(),
    roles: z.array(z.enum(roles)),
    accountId: z.string().describe('The account that pays for your calls.'),
  })
  .meta({ id: 'Me' })

const loginView = (answer: LoginAnswer): z.input<typeof loginShape> => ({
  ...answer,
  roles: [...answer.roles],
})

function noted(answer: LoginAnswer, note: Context['note']): z.input<typeof loginShape> {
  const { userId, username, roles } = answer
  note({ actor: { userId, username, roles } })
  return loginView(answer)
}

/** `/auth/…` and `/me`. */
export function authRoutes(deps: AuthRouteDeps): Route[] {
  return [...loginRoutes(deps), ...ownRoutes(deps)]
}

function loginRoutes(deps: AuthRouteDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/v1/auth/register',
      summary: 'Registers yourself as a member and logs in',
      description: 'Refused while `auth.registration` is `closed`, which is the default.',
      permission: 'public',
      body: registerInput,
      response: loginShape,
      status: 201,
      errors: [403, 409],
      handler: async ({ body, note }) => noted(await deps.logins.register(body), note),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/auth/authenticate',
      aliases: ['/auth/authenticate'],
      summary: 'Logs in by user name and password',
      permission: 'public',
      body: loginInput,
      response: loginShape,
      errors: [401, 429],
      handler: async ({ body, clientIp, note }) => {
        // Also where the password is wrong; what was typed as a name that nobody has is not kept.
        const onUser = ({ id: userId, username }: User) => note({ actor: { userId, username } })
        return noted(await deps.logins.login(body, { ip: clientIp, onUser }), note)
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/auth/refresh',
      summary: 'Exchanges a refresh token for its successor and a new access token',
      description: 'A refresh token that is used a second time is taken for stolen: its whole login ends.',
      permission: 'public',
      body: refreshInput,
      response: loginShape,
      errors: [401],
      handler: async ({ body, note }) => noted(await deps.logins.refresh(body.refreshToken), note),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/auth/logout',
      summary: 'Ends the login of the access token, and that of a refresh token that is sent',
      permission: 'signed-in',
      body: logoutInput.prefault({}),
      handler: async ({ principal, body }) => {
        await deps.logins.logout(principal, body.refreshToken)
        return undefined
      },
    }),
  ]
}

function ownRoutes(deps: AuthRouteDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/me',
      summary: 'Shows who you are to the gateway',
      permission: 'signed-in',
      response: meShape,
      handler: async ({ principal }) => {
        const { id: userId, username, email, roles, accountId } = await deps.users.get(principal.userId)
        return { userId, username, ...(email !== undefined && { email }), roles: [...roles], accountId }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/me/password',
      audit: 'me.password.change',
      summary: 'Changes your password and ends all your logins',
      permission: 'signed-in',
      body: passwordChange,
      errors: [403, 429],
      handler: async ({ principal, body, clientIp }) => {
        // A key may call and read; it must not be able to lock its owner out.
        if (principal.via !== 'token')
          throw new GatewayError('forbidden', {
            detail: 'A key cannot change a password; log in to do that.',
          })
        await deps.logins.changePassword(principal, body, { ip: clientIp })
        return undefined
      },
    }),
  ]
}
