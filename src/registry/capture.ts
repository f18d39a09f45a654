// What is kept of the arguments and results of a server's calls, where its registration says so.
import { RE2JS } from 're2js'
import { z } from 'zod'
import { maxGlobLength } from '../base/glob.ts'

const maxPatternLength = 200

/** The `capture` of a registration; absent: nothing is kept. */
export const captureInput = z.strictObject({
  tools: z
    .array(z.string().min(1).max(maxGlobLength))
    .min(1)
    .max(50)
    .default(['*'])
    .describe('Globs of the tools whose calls are kept.'),
  arguments: z.boolean().default(true),
  results: z.boolean().default(true),
  mask: z
    .array(z.string().min(1).max(maxGlobLength))
    .max(100)
    .default([])
    .describe('Globs of names of members whose values are not kept, in any case, beside the usual ones.'),
  maskPatterns: z
    .array(
      z
        .string()
        .min(1)
        .max(maxPatternLength)
        .refine((text) => compiled(text) !== undefined, 'must be a pattern of RE2')
        .refine((text) => compiled(text)?.matches('') !== true, 'fits a text without characters, too'),
    )
    .max(10)
    .default([])
    .describe('Patterns (RE2) of text that is not kept, wherever it stands.'),
  maxBytes: z
    .int()
    .min(256)
    .max(65_536)
    .default(16_384)
    .describe('Of arguments and of a result, each; what is beyond is left out.'),
  days: z.int().min(1).max(365).default(30).describe('After which it is deleted.'),
})

export type Capture = z.output<typeof captureInput>

function compiled(text: string): RE2JS | undefined {
  try {
    return RE2JS.compile(text)
  } catch {
    return undefined
  }
}
