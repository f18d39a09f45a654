// Routes of the keys that everything stored is sealed and signed with: which there are, and replacing them.
import { z } from 'zod'
import type { DataKeys, ShownKey } from '../../../secrets/data-keys.ts'
import { defineRoute, type Route } from '../route.ts'
import { isoTime, timeShape } from '../view.ts'

export interface SecretRouteDeps {
  readonly dataKeys: Pick<DataKeys, 'list' | 'countSealedOtherwise' | 'rotate'>
}

const keyShape = z
  .strictObject({
    id: z.string().describe('Tells keys apart; nothing of the key follows from it.'),
    purpose: z
      .string()
      .describe('`seal`, `signing`, or `mac:` and what is hashed; only the first two are replaced.'),
    createdAt: timeShape,
    retiredAt: timeShape.nullable().describe('Since when it only opens and verifies what it made.'),
  })
  .meta({ id: 'DataKey' })

const secretsShape = z
  .strictObject({
    keys: z.array(keyShape),
    sealedByRetired: z
      .number()
      .int()
      .describe('Stored texts that a retired key has sealed; they are sealed anew.'),
  })
  .meta({ id: 'Secrets' })

const rotationInput = z.strictObject({
  compromised: z
    .boolean()
    .default(false)
    .describe(
      'Forget the former keys at once: access tokens that they signed are refused. Else after a day.',
    ),
})

const rotationShape = z
  .strictObject({
    masterReplaced: z
      .boolean()
      .describe(
        'Whether the master secret in the data folder was replaced too; one in the environment never is.',
      ),
    formerForgotten: z.boolean(),
    resealed: z.array(z.strictObject({ holds: z.string(), texts: z.number().int() })),
    keys: z.array(keyShape),
  })
  .meta({ id: 'Rotation' })

const keyView = ({ id, purpose, createdAtMs, retiredAtMs }: ShownKey): z.input<typeof keyShape> => ({
  id,
  purpose,
  createdAt: isoTime(createdAtMs),
  retiredAt: retiredAtMs === undefined ? null : isoTime(retiredAtMs),
})

/** `/api/v1/secrets`. No key or secret ever leaves by these routes. */
export function secretRoutes({ dataKeys }: SecretRouteDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/secrets',
      summary: 'The keys that seal and sign what is stored',
      permission: 'secrets:read',
      response: secretsShape,
      handler: async () => ({
        keys: dataKeys.list.map(keyView),
        sealedByRetired: await dataKeys.countSealedOtherwise(),
      }),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/secrets/rotate',
      summary: 'Replace the keys that seal and sign, and the master secret of the data folder',
      description: 'Everything stored is sealed anew before this answers; calls go on meanwhile.',
      permission: 'secrets:manage',
      body: rotationInput,
      response: rotationShape,
      errors: [409],
      handler: async ({ body }) => {
        const { masterReplaced, formerForgotten, resealed } = await dataKeys.rotate(body)
        return { masterReplaced, formerForgotten, resealed: [...resealed], keys: dataKeys.list.map(keyView) }
      },
    }),
  ]
}
