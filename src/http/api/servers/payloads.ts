// Routes of payloads: what one call was asked and answered, and deleting what is kept of a server's calls.
import { z } from 'zod'
import type { Clock } from '../../../base/clock.ts'
import { GatewayError } from '../../../base/errors.ts'
import { parseCallId } from '../../../base/id.ts'
import type { PayloadStore } from '../../../payloads/store.ts'
import type { Registry } from '../../../registry/servers.ts'
import type { UsageQueries } from '../../../usage/queries.ts'
import { defineRoute, type Route } from '../route.ts'
import { getSeen } from './server-access.ts'
import { idParams, isoTime, timeShape } from '../view.ts'

export interface PayloadDeps {
  readonly queries: Pick<UsageQueries, 'findRecord'>
  readonly payloadStore: Pick<PayloadStore, 'find' | 'deleteOf'>
  readonly registry: Registry
  readonly clock: Clock
}

const payloadShape = z
  .strictObject({
    id: z.string().describe('Of the usage record.'),
    server: z.string(),
    tool: z.string().optional(),
    arguments: z.unknown().optional(),
    result: z.unknown().optional(),
    error: z.unknown().optional().describe('In place of a result. Neither: the server did not answer.'),
    cut: z.boolean().describe('Whether something was left out for its size.'),
    expiresAt: timeShape,
  })
  .meta({ id: 'Payload' })

const noPayload =
  'Nothing is kept of this call: its server did not say so when it ran, or it is deleted, or not written yet.'

export function payloadRoutes(deps: PayloadDeps): Route[] {
  const { queries, payloadStore, registry, clock } = deps
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/billing/usage/{id}/payload',
      summary: 'Shows what a call was asked and answered, masked',
      description:
        'Kept where its server has `capture`. For auditors alone; that it was read is in the audit log.',
      permission: 'payloads:read',
      audit: 'usage.payload.read',
      params: idParams,
      response: payloadShape,
      errors: [404],
      handler: async ({ params }) => {
        const id = parseCallId(params.id)
        const record = id === undefined ? undefined : await queries.findRecord(id)
        if (id === undefined || !record) throw new GatewayError('not_found')
        const kept = await payloadStore.find(id, clock.now())
        if (!kept) throw new GatewayError('not_found', { detail: noPayload })
        const { expiresAtMs, ...payload } = kept
        const { server, tool } = record
        return {
          id: params.id,
          server,
          ...(tool !== undefined && { tool }),
          ...payload,
          expiresAt: isoTime(expiresAtMs),
        }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/v1/servers/{id}/payloads',
      summary: "Deletes everything that is kept of a server's calls' arguments and results",
      permission: 'servers:manage-all',
      params: idParams,
      errors: [404],
      handler: async ({ principal, params }) => {
        await payloadStore.deleteOf(getSeen(registry, params.id, principal).id)
        return undefined
      },
    }),
  ]
}
