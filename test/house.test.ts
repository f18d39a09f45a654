// The house rules as a test: who may import whom, how large a file may get, and what each file must say of itself.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { tableRows } from './harness/markdown.ts'

const root = resolve(import.meta.dirname, '..')
const src = join(root, 'src')

/** Folder → folders it may import; itself is always allowed. ARCHITECTURE.md carries the same table. */
const importTable: Record<string, readonly string[]> = {
  base: [],
  db: ['base'],
  wire: ['base'],
  eras: ['base', 'wire'],
  identity: ['base', 'db'],
  oauth: ['base', 'db', 'identity'],
  registry: ['base', 'db'],
  secrets: ['base', 'db'],
  references: ['base'],
  audit: ['base', 'db'],
  idempotency: ['base', 'db'],
  policy: ['base', 'db', 'identity', 'registry'],
  payloads: ['base', 'db', 'wire', 'registry'],
  pricing: ['base', 'db'],
  ledger: ['base', 'db', 'pricing'],
  usage: ['base', 'db', 'pricing'],
  billing: ['base', 'db', 'pricing', 'ledger', 'usage'],
  invoicing: ['base', 'db', 'pricing', 'ledger', 'usage'],
  x402: ['base', 'db', 'ledger'],
  upstreams: ['base', 'db', 'wire', 'registry'],
  outbox: ['base', 'db', 'usage', 'upstreams'],
  bridges: ['base', 'wire', 'eras', 'registry', 'upstreams'],
  sessions: [
    'base',
    'db',
    'wire',
    'eras',
    'identity',
    'policy',
    'registry',
    'pricing',
    'ledger',
    'usage',
    'upstreams',
    'bridges',
    'x402',
    'payloads',
  ],
  'built-in': [
    'base',
    'wire',
    'eras',
    'identity',
    'registry',
    'pricing',
    'ledger',
    'usage',
    'upstreams',
    'bridges',
    'sessions',
  ],
  transports: ['base', 'wire', 'eras', 'identity', 'sessions'],
  http: [
    'base',
    'idempotency',
    'wire',
    'eras',
    'identity',
    'oauth',
    'registry',
    'secrets',
    'audit',
    'policy',
    'pricing',
    'ledger',
    'usage',
    'billing',
    'invoicing',
    'outbox',
    'upstreams',
    'bridges',
    'sessions',
    'transports',
    'payloads',
  ],
}

/** The roots of the program may import any folder; nobody imports them. */
const roots = new Set(['main.ts', 'cli.ts', 'config', 'demo', 'assembly', 'commands'])
const onlyRootsImport = new Set(['main', 'cli', 'config', 'demo', 'assembly', 'commands'])

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesBelow(path) : [path]
  })
}

const sources = filesBelow(src).filter((path) => path.endsWith('.ts'))
const importsOf = (path: string): string[] =>
  [...readFileSync(path, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) =>
    resolve(dirname(path), match[1] ?? ''),
  )
const partOf = (path: string): string => relative(src, path).split('/')[0] ?? ''

describe('the import table', () => {
  test.each(sources)('%s imports only what its folder may see', (path) => {
    const own = partOf(path)
    if (roots.has(own.replace(/\.test\.ts$/, '.ts'))) return
    const allowed = [own, ...(importTable[own] ?? [])]
    for (const target of importsOf(path)) {
      // The version in package.json belongs to everybody.
      if (target === join(root, 'package.json')) continue
      if (path.endsWith('.test.ts') && target.startsWith(join(root, 'test', 'harness'))) continue
      const part = partOf(target)
      expect(onlyRootsImport.has(part.replace(/\.ts$/, '')), `${relative(root, path)} imports a root`).toBe(
        false,
      )
      expect(allowed, `${relative(root, path)} imports ${relative(root, target)}`).toContain(part)
      if (part === 'db' && own !== 'db' && !path.endsWith('.test.ts'))
        expect(basename(path)).toMatch(/store\.ts$/)
    }
  })

  test('ARCHITECTURE.md shows the same table', () => {
    const names = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')
    const rows = tableRows(readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8'), 'Who may import whom')
    const shown = rows.map(([folder, allowed]) => [names(folder)[0], names(allowed).sort()])
    const own = Object.entries(importTable).map(([folder, allowed]) => [folder, allowed.toSorted()])
    expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(own))
  })

  test('every folder of src stands in the table', () => {
    const folders = readdirSync(src).filter(
      (name) => statSync(join(src, name)).isDirectory() && !roots.has(name),
    )
    expect(Object.keys(importTable)).toEqual(expect.arrayContaining(folders))
  })
})

describe('every source file', () => {
  test.each(sources)('%s says in its first line what it owns and stays under 400 lines', (path) => {
    const text = readFileSync(path, 'utf8')
    expect(text.replace(/^#!.*\n/, '')).toMatch(/^\/\/ \S/)
    expect(text.split('\n').length).toBeLessThanOrEqual(400)
  })

  test.each(sources)('%s has a kebab-case name', (path) => {
    expect(basename(path)).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/)
  })

  test('only config and the roots read the environment', () => {
    const readers = sources.filter(
      (path) => !path.endsWith('.test.ts') && /process\.env/.test(readFileSync(path, 'utf8')),
    )
    expect(readers.filter((path) => !roots.has(partOf(path)))).toEqual([])
  })
})
