// What a caller may say of a bundle: its strict shape, and how a patch changes it.
import { z } from 'zod'
import { GatewayError } from '../base/errors.ts'
import { globProblem, maxGlobLength } from '../base/glob.ts'
import { accessLevels } from './server.ts'
import { endpointName, fieldErrors, mergePatch, plainText } from './server-input.ts'

/** As many members as an aggregate asks at once. */
const maxMembers = 200

/** Longest name of a tool, with its server's before it (SEP-986). */
const maxNameLength = 128

const patterns = z
  .array(
    z
      .string()
      .max(maxGlobLength)
      .refine((text) => globProblem(text) === undefined, { error: 'must not be empty' }),
  )
  .min(1, 'must not be empty; leave it out to match anything')
  .max(100)

const names = z
  .record(
    z.string().min(1).max(maxNameLength),
    z.string().regex(/^[A-Za-z0-9_.-]{1,128}$/, 'use 1 to 128 of A-Z, a-z, 0-9, _, - and .'),
  )
  .refine((value) => Object.keys(value).length <= 500, 'has more than 500 names')
  .refine((value) => new Set(Object.values(value)).size === Object.keys(value).length, 'gives one name twice')

const member = z
  .strictObject({
    server: z.string().min(1).max(64).describe('Its name, or its id.'),
    include: patterns
      .optional()
      .describe('Globs; of its tools, prompts (by name) and resources (by URI), only these are shown.'),
    exclude: patterns.optional().describe('Globs; these are not shown.'),
    rename: names
      .optional()
      .describe("New names of tools and prompts, by their own; the server's name still comes before them."),
  })
  .check(({ value, issues }) => {
    for (const [old, name] of Object.entries(value.rename ?? {}))
      if (value.server.length + 2 + name.length > maxNameLength && !value.server.includes('_'))
        issues.push({
          code: 'custom',
          path: ['rename', old],
          message: `is longer than ${maxNameLength} characters with the server's name before it`,
          input: name,
        })
  })

/** The body of `POST /bundles`. Unknown members are errors. */
export const bundleInput = z
  .strictObject({
    name: endpointName,
    description: plainText(2000).optional(),
    access: z
      .enum(accessLevels)
      .default('private')
      .describe(
        'Who may use the endpoint; each server that it leads to has to be allowed to the caller as well.',
      ),
    account: z
      .string()
      .min(1)
      .max(64)
      .optional()
      .describe('Pays for calls without a credential; only a public bundle has one.'),
    members: z.array(member).min(1).max(maxMembers).describe('The servers behind the endpoint.'),
  })
  .check(({ value, issues }) => {
    const isPublic = value.access === 'public'
    if (isPublic === (value.account !== undefined)) return
    const message = isPublic
      ? 'a public bundle needs the account that pays for calls without a credential'
      : 'only a public bundle has an account'
    issues.push({ code: 'custom', path: ['account'], message, input: value.account })
  })

export type BundleInput = z.output<typeof bundleInput>

/** Reads a bundle; throws `validation_failed` with every fault and its JSON pointer. */
export function parseBundleInput(body: unknown): BundleInput {
  const parsed = bundleInput.safeParse(body)
  if (parsed.success) return parsed.data
  throw new GatewayError('validation_failed', { fields: parsed.error.issues.flatMap(fieldErrors) })
}

/**
 * What comes of a JSON merge patch (RFC 7396); a list of members replaces the old one, and an account goes when the
 * bundle stops being public. Throws `validation_failed`.
 */
export function applyBundlePatch(old: BundleInput, patch: unknown): BundleInput {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch))
    throw new GatewayError('validation_failed', { fields: [{ field: '', message: 'must be an object' }] })
  const members = patch as Record<string, unknown>
  const merged = mergePatch({ ...old }, members)
  if (merged['access'] !== 'public' && members['account'] === undefined) delete merged['account']
  return parseBundleInput(merged)
}
