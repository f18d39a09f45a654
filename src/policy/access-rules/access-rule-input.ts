// What an administrator may say of an access rule: its strict shape and defaults.
import { z } from 'zod'
import { globProblem } from '../../base/glob.ts'
import { roles } from '../../identity/principal.ts'
import { effects, nouns } from './access-rule.ts'
import { compileArguments } from './argument-check.ts'

const glob = z.string().superRefine((pattern, context) => {
  const problem = globProblem(pattern)
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
})
const ids = (prefix: string) =>
  z
    .array(
      z.string().regex(new RegExp(`^${prefix}_[0-9a-z]{26}$`), `must be an id that begins with ${prefix}_`),
    )
    .min(1)
    .max(1000)
const time = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))

const who = z
  .strictObject({
    users: ids('usr').optional(),
    keys: ids('key').optional(),
    roles: z.array(z.enum(roles)).min(1).max(roles.length).optional(),
    groups: z.array(z.string().min(1).max(200)).min(1).max(1000).optional(),
  })
  .refine(
    (named) => Object.values(named).some((list) => list !== undefined),
    'names nobody; leave it out for everybody',
  )

const shape = {
  name: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$/, 'use 1 to 64 of a-z, 0-9 and -, not - at the ends'),
  priority: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(100)
    .describe('The first rule that matches decides, ascending.'),
  effect: z.enum(effects),
  who: who.optional().describe('One of them is enough. Absent: everybody.'),
  server: glob.default('**').describe('Glob over names of servers.'),
  kind: z.enum(nouns).optional().describe('Absent: all of them.'),
  item: glob
    .default('**')
    .describe("Glob over the server's own names of tools and prompts, or URIs of resources."),
  arguments: z
    .record(z.string(), z.unknown())
    .superRefine((schema, context) => {
      try {
        compileArguments(schema)
      } catch (error) {
        context.addIssue({
          code: 'custom',
          message: `is no schema that can be used: ${(error as Error).message}`,
        })
      }
    })
    .optional()
    .describe('JSON Schema (2020-12) of the arguments of calls that the rule is for.'),
  from: time.optional().describe('Before it, the rule is as if it were not there.'),
  until: time.optional().describe('From it on, too.'),
  note: z.string().max(500).optional(),
  active: z.boolean().default(true),
}

/** The body of `POST /access-rules`. */
export const accessRuleInput = z
  .strictObject(shape)
  .refine(({ arguments: schema, kind }) => schema === undefined || kind === 'tool', {
    path: ['arguments'],
    message: 'is for a rule of kind tool',
  })
  .refine(({ from, until }) => from === undefined || until === undefined || from < until, {
    path: ['until'],
    message: 'must be after from',
  })

export type AccessRuleInput = z.output<typeof accessRuleInput>

/** Any member of a rule, or null; what comes of it is read as `accessRuleInput` (RFC 7396). */
export const accessRulePatch = z
  .strictObject(Object.fromEntries(Object.keys(shape).map((name) => [name, z.unknown().optional()])))
  .describe('A JSON merge patch (RFC 7396) of the body of `POST /access-rules`.')
