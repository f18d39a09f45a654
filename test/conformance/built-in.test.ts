// The built-in server passes every check of the official suite that is not about what only the suite's fixture has.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestGateway, type TestGateway } from '../harness/gateway.ts'
import { startSignedFront, type SignedFront } from './signed-front.ts'
import { requirementSets, runSuite, type SuiteRun } from './suite.ts'

/** Scenarios that call tools, prompts or resources of the fixture, or tasks, none of which are here. */
const foreign =
  /^(?:completion-|elicitation-|input-required-|json-schema-|logging-|prompts-|resources-|sep-2164-|tasks-|tools-call-|http-custom-header-)/
/** Checks of the other scenarios that need a tool, a prompt or a resource of the fixture. */
const foreignChecks = new Set([
  'caching:sep-2549-prompts-list-caching-hints',
  'caching:sep-2549-resources-list-caching-hints',
  'caching:sep-2549-resources-templates-list-caching-hints',
  'server-stateless:sep-2575-http-server-no-independent-requests-on-stream',
  'server-stateless:sep-2575-missing-capability-http-400',
  'server-stateless:sep-2575-server-no-log-without-loglevel',
  'server-stateless:sep-2575-server-rejects-undeclared-capability',
])

const isForeign = (check: string): boolean =>
  foreignChecks.has(check) || (foreign.test(check) && !check.endsWith(':wire-schema-valid'))

let gateway: TestGateway
let front: SignedFront
const folder = mkdtempSync(join(tmpdir(), 'conformance-'))

beforeAll(async () => {
  gateway = await startTestGateway()
  front = await startSignedFront(gateway.url, gateway.admin.credential ?? '')
})

afterAll(async () => {
  await front.stop()
  await gateway.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe.each(requirementSets)('the built-in server, %s', (set) => {
  let run: SuiteRun

  beforeAll(async () => {
    const url = `${front.url.replace('127.0.0.1', 'localhost')}/mcp/tollbridge`
    run = await runSuite(url, set, { folder: join(folder, set) })
  }, 180_000)

  test('fails no check that it could pass', () => {
    const failed = [...run.checks].filter(([, statuses]) => statuses.includes('FAILURE'))
    expect(failed.map(([check]) => check).filter((check) => !isForeign(check))).toEqual([])
  })

  test('passes what is about its era, its tools and its wire', () => {
    const passed = [...run.checks].filter(([, statuses]) => statuses.every((one) => one === 'SUCCESS'))
    const own = passed.map(([check]) => check).filter((check) => !isForeign(check))
    expect(own).toEqual(expect.arrayContaining(['tools-list:tools-list', 'tools-list:wire-schema-valid']))
    expect(own).toEqual(
      expect.arrayContaining(
        set === '2025-11-25'
          ? ['server-initialize:server-initialize', 'ping:ping']
          : ['server-stateless:sep-2575-server-implements-discover', 'caching:sep-2549-cache-scope-valid'],
      ),
    )
    expect(own.length).toBeGreaterThan(set === '2025-11-25' ? 30 : 60)
  })
})
