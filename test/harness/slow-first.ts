import { relative } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** What takes long, the longest first, as `.ci/report.mjs` tells it. */
const slow = [
  'test/simulation/simulation.test.ts',
  'test/matrix/matrix.test.ts',
  'test/faults/resumption.test.ts',
  'test/faults/backup.test.ts',
  'test/faults/store-crash.test.ts',
  'test/console/views.test.ts',
  'test/faults/webhooks.test.ts',
  'test/faults/abandoned.test.ts',
  'test/faults/floods.test.ts',
  'test/trust/upstream-consent.test.ts',
  'test/faults/session-limits.test.ts',
  'test/conformance/client-mode.test.ts',
  'test/conformance/upstream-auth.test.ts',
  'test/contracts/upkeep.test.ts',
]

/** Begins with the files that take long, so that none of them runs alone at the end while the other worker idles. */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification): number => {
      const at = slow.indexOf(relative(project.config.root, moduleId))
      return at === -1 ? slow.length : at
    }
    const sorted = await super.sort(files)
    return sorted.toSorted((one, other) => rank(one) - rank(other))
  }
}
