// Routes of limits: how many calls may come in a time, and run at once, and how many bytes they may bring.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import { limitDimensions, type Limit } from '../../../policy/limits/limit.ts'
import { limitInput, limitPatch } from '../../../policy/limits/limit-input.ts'
import type { Limits } from '../../../policy/limits/limits.ts'
import { fieldErrors, mergePatch } from '../../../registry/server-input.ts'
import { pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, isoTime, pageById, timeShape } from '../view.ts'

export interface LimitRouteDeps {
  readonly limits: Limits
}

const limitShape = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    match: z.strictObject({
      server: z.string().optional(),
      tool: z.string().optional(),
      method: z.string().optional(),
      user: z.string().optional(),
      key: z.string().optional(),
      account: z.string().optional(),
    }),
    per: z.array(z.enum(limitDimensions)),
    rate: z.strictObject({ calls: z.int(), seconds: z.int(), burst: z.int() }).optional(),
    bandwidth: z.strictObject({ bytes: z.int(), seconds: z.int(), burst: z.int() }).optional(),
    concurrent: z.int().optional(),
    active: z.boolean(),
    callers: z.int().describe('How many are counted apart now.'),
    createdAt: timeShape,
    updatedAt: timeShape,
  })
  .meta({ id: 'Limit' })

const path = '/api/v1/limits'
const one = `${path}/{id}`

/** `/limits` and `/limits/{id}`, where `{id}` is an id or a name. */
export function limitRoutes({ limits }: LimitRouteDeps): Route[] {
  const show = (limit: Limit): z.input<typeof limitShape> => {
    const { createdAtMs, updatedAtMs, per, rate, bandwidth, ...rest } = limit
    const times = { createdAt: isoTime(createdAtMs), updatedAt: isoTime(updatedAtMs) }
    const shown = {
      ...(rate && { rate: { ...rate, burst: rate.burst ?? rate.calls } }),
      ...(bandwidth && { bandwidth: { ...bandwidth, burst: bandwidth.burst ?? bandwidth.bytes } }),
    }
    return { ...rest, ...shown, per: [...per], callers: limits.countCallers(limit.id), ...times }
  }
  return [
    defineRoute({
      method: 'POST',
      path,
      summary: 'Makes a limit of calls or bytes in a time, or of calls that run at once',
      permission: 'limits:manage',
      body: limitInput,
      response: limitShape,
      status: 201,
      errors: [409, 422],
      handler: async ({ body, setHeader }) => {
        const limit = await limits.create(body)
        setHeader('location', `${path}/${limit.id}`)
        return show(limit)
      },
    }),
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists the limits, oldest first',
      permission: 'limits:read',
      query: z.strictObject(pageQuery),
      response: pageOf(limitShape),
      handler: ({ query }) =>
        pageById(query, {
          fetch: ({ limit, id }) =>
            limits
              .list()
              .filter((each) => id === undefined || each.id > id)
              .slice(0, limit),
          show,
        }),
    }),
    defineRoute({
      method: 'GET',
      path: one,
      summary: 'Shows a limit',
      permission: 'limits:read',
      params: idParams,
      response: limitShape,
      errors: [404],
      handler: ({ params }) => show(limits.get(params.id)),
    }),
    defineRoute({
      method: 'PATCH',
      path: one,
      summary: 'Changes a limit; counting begins anew',
      permission: 'limits:manage',
      params: idParams,
      body: limitPatch,
      response: limitShape,
      errors: [404, 409],
      handler: async ({ params, body }) => {
        const { id, createdAtMs: _c, updatedAtMs: _u, ...before } = limits.get(params.id)
        const parsed = limitInput.safeParse(mergePatch({ ...before }, body))
        if (!parsed.success)
          throw new GatewayError('validation_failed', { fields: parsed.error.issues.flatMap(fieldErrors) })
        return show(await limits.replace(id, parsed.data))
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: one,
      summary: 'Removes a limit',
      permission: 'limits:manage',
      params: idParams,
      errors: [404],
      handler: async ({ params }) => {
        await limits.remove(limits.get(params.id).id)
        return undefined
      },
    }),
  ]
}
