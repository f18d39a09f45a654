// The demo's access rule and limits: one of each kind, so that there is something to look at and to run into.
import type { AccessRules } from '../policy/access-rules/access-rules.ts'
import { accessRuleInput } from '../policy/access-rules/access-rule-input.ts'
import { limitInput } from '../policy/limits/limit-input.ts'
import type { Limits } from '../policy/limits/limits.ts'

export async function makePolicy(accessRules: AccessRules, limits: Limits): Promise<void> {
  await accessRules.create(
    accessRuleInput.parse({
      name: 'no-summaries-in-the-field',
      effect: 'deny',
      who: { groups: ['field'] },
      server: 'papers',
      kind: 'tool',
      item: 'summarize',
      note: 'They read what they need.',
    }),
  )
  await limits.create(
    limitInput.parse({
      name: 'papers-per-user',
      match: { server: 'papers' },
      rate: { calls: 60, seconds: 60 },
    }),
  )
  await limits.create(
    limitInput.parse({ name: 'warehouse-at-once', match: { server: 'warehouse' }, per: [], concurrent: 4 }),
  )
}
