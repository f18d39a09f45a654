// Routes of users, for administrators; auditors may read them.
import { z } from 'zod'
import { roles } from '../../../identity/principal.ts'
import type { User } from '../../../identity/user-store.ts'
import { userInput, userPatch, type Users } from '../../../identity/users.ts'
import { pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, isoTime, pageById, readId, timeShape } from '../view.ts'

export interface UserRouteDeps {
  readonly users: Users
}

const userShape = z
  .strictObject({
    id: z.string(),
    username: z.string(),
    email: z.string().optional(),
    roles: z.array(z.enum(roles)),
    groups: z.array(z.string()),
    accountId: z.string(),
    disabled: z.boolean(),
    createdAt: timeShape,
    updatedAt: timeShape,
  })
  .meta({ id: 'User' })

function userView(user: User): z.input<typeof userShape> {
  const { createdAtMs, updatedAtMs, ...rest } = user
  return {
    ...rest,
    roles: [...user.roles],
    groups: [...user.groups],
    createdAt: isoTime(createdAtMs),
    updatedAt: isoTime(updatedAtMs),
  }
}

/** `/users` and `/users/{id}`. */
export function userRoutes(deps: UserRouteDeps): Route[] {
  const path = '/api/v1/users'
  const one = `${path}/{id}`
  return [
    defineRoute({
      method: 'POST',
      path,
      summary: 'Makes a user with an account of its own',
      permission: 'users:manage',
      body: userInput,
      response: userShape,
      status: 201,
      errors: [403, 409],
      handler: async ({ body, setHeader }) => {
        const user = await deps.users.create(body)
        setHeader('location', `${path}/${user.id}`)
        return userView(user)
      },
    }),
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists users, oldest first',
      permission: 'users:read',
      query: z.strictObject(pageQuery),
      response: pageOf(userShape),
      errors: [403],
      handler: ({ query }) =>
        pageById(query, {
          fetch: ({ limit, id }) => deps.users.list({ limit, afterId: id }),
          show: userView,
        }),
    }),
    defineRoute({
      method: 'GET',
      path: one,
      summary: 'Shows a user',
      permission: 'users:read',
      params: idParams,
      response: userShape,
      errors: [403, 404],
      handler: async ({ params }) => userView(await deps.users.get(readId(params.id, 'usr'))),
    }),
    defineRoute({
      method: 'PATCH',
      path: one,
      summary: 'Changes a user',
      description:
        'New roles or groups, a new password and `disabled` end what the user has open; the last two also end its logins.',
      permission: 'users:manage',
      params: idParams,
      body: userPatch,
      response: userShape,
      errors: [403, 404, 422],
      handler: async ({ params, body }) => userView(await deps.users.patch(readId(params.id, 'usr'), body)),
    }),
    defineRoute({
      method: 'DELETE',
      path: one,
      summary: 'Ends a user, its logins and its keys; its usage stays',
      permission: 'users:manage',
      params: idParams,
      errors: [403, 404, 422],
      handler: async ({ params }) => {
        await deps.users.delete(readId(params.id, 'usr'))
        return undefined
      },
    }),
  ]
}
