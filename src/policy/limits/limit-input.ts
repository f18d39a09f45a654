// What an administrator may say of a limit: its strict shape and defaults.
import { z } from 'zod'
import { globProblem } from '../../base/glob.ts'
import { limitDimensions } from './limit.ts'

const glob = z.string().superRefine((pattern, context) => {
  const problem = globProblem(pattern)
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
})
const id = (prefix: string) =>
  z.string().regex(new RegExp(`^${prefix}_[0-9a-z]{26}$`), `must be an id that begins with ${prefix}_`)

const match = z.strictObject({
  server: glob.optional(),
  tool: glob.optional(),
  method: glob.optional(),
  user: id('usr').optional(),
  key: id('key').optional(),
  account: id('acc').optional(),
})

const rate = z.strictObject({
  calls: z.int().min(1).max(1_000_000),
  seconds: z.int().min(1).max(86_400),
  burst: z.int().min(1).max(1_000_000).optional().describe('How many may come at once; `calls` by default.'),
})

const bandwidth = z.strictObject({
  bytes: z
    .int()
    .min(1024)
    .max(2 ** 40),
  seconds: z.int().min(1).max(86_400),
  burst: z
    .int()
    .min(1024)
    .max(2 ** 40)
    .optional()
    .describe('How many may come at once; `bytes` by default.'),
})

const shape = {
  name: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$/, 'use 1 to 64 of a-z, 0-9 and -, not - at the ends'),
  match: match
    .prefault({})
    .describe('Which calls; without a member, all. Globs, and ids of users, keys and accounts.'),
  per: z
    .array(z.enum(limitDimensions))
    .max(limitDimensions.length)
    .refine((per) => new Set(per).size === per.length, 'names one twice')
    .default(['user'])
    .describe('What is counted apart; empty: all calls together.'),
  rate: rate.optional(),
  bandwidth: bandwidth.optional().describe('Bytes of requests and their answers together.'),
  concurrent: z.int().min(1).max(100_000).optional().describe('How many may run at once.'),
  active: z.boolean().default(true),
}

/** The body of `POST /limits`. */
export const limitInput = z
  .strictObject(shape)
  .refine((limit) => (limit.rate ?? limit.bandwidth ?? limit.concurrent) !== undefined, {
    path: ['rate'],
    message: 'needs a rate, a bandwidth, or concurrent',
  })

export type LimitInput = z.output<typeof limitInput>

/** Any member of a limit, or null; what comes of it is read as `limitInput` (RFC 7396). */
export const limitPatch = z
  .strictObject(Object.fromEntries(Object.keys(shape).map((name) => [name, z.unknown().optional()])))
  .describe('A JSON merge patch (RFC 7396) of the body of `POST /limits`.')
