// Writes docs/security.md out of the manifest of promises.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { securityPage } from '../test/security-page.ts'

writeFileSync(join(import.meta.dirname, '..', 'docs', 'security.md'), securityPage())
