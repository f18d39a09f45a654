// The documents say what the code does: settings, errors, tables, links and dependencies are compared with it.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { errorCodes } from '../src/base/errors.ts'
import { configJsonSchema } from '../src/config/description.ts'
import { migrations } from '../src/db/migrations/list.ts'
import { tableRows } from './harness/markdown.ts'

const root = resolve(import.meta.dirname, '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const word = (cell = ''): string => /`([^`]+)`/.exec(cell)?.[1] ?? ''

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly enum?: readonly string[]
}

/** The keys of the configuration with their schemas, `http.maxDepth` and so on. */
function settings(schema: Schema, path: readonly string[] = []): [string, Schema][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) =>
    inner.properties ? settings(inner, [...path, name]) : [[[...path, name].join('.'), inner]],
  )
}

describe('docs/configuration.md', () => {
  const all = new Map(settings(configJsonSchema()))
  const rows = tableRows(read('docs/configuration.md'), 'Keys')

  test('names every setting, and no other', () => {
    expect(rows.map(([key]) => word(key)).sort()).toEqual([...all.keys()].sort())
  })

  test.each(rows)(
    '%s: variable, default and values are those of the schema',
    (key, variable, usual, values) => {
      const schema = all.get(word(key)) ?? {}
      const name = word(key).replaceAll('.', '_').replaceAll(/[A-Z]/g, '_$&').toUpperCase()
      expect(word(variable)).toBe(`TOLLBRIDGE_${name}`)
      const { default: value, minimum, maximum } = schema
      const shown = typeof value === 'string' ? value : JSON.stringify(value)
      expect(usual === 'none' ? undefined : word(usual)).toBe(value === undefined ? undefined : shown)
      if (minimum !== undefined) expect(values).toBe(`${minimum}–${maximum}`)
      if (schema.enum) expect(values).toBe(schema.enum.join(', '))
    },
  )
})

test('docs/errors.md has every code with its status, JSON-RPC code, fault and sentence', () => {
  const rows = tableRows(read('docs/errors.md')).map(([code, ...rest]) => [word(code), ...rest])
  const expected = Object.entries(errorCodes).map(([code, { status, rpc, fault, sentence }]) => [
    code,
    String(status),
    String(rpc),
    fault,
    sentence,
  ])
  expect(rows).toEqual(expected)
})

describe('who writes which table', () => {
  const rows = tableRows(read('ARCHITECTURE.md'), 'Who writes which table').map(([table, owner]) => ({
    table: word(table),
    owner: word(owner),
  }))
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !path.includes('migrations'))
    .map((path) => ({ folder: path.split('/')[0], text: read(join('src', path)) }))

  test('the list has every table that the migrations make', () => {
    const made = migrations
      .flatMap((step) =>
        step.statements({ engine: 'sqlite', integer: 'INTEGER', blob: 'BLOB', strict: ' STRICT' }),
      )
      .flatMap((sql) => /CREATE TABLE (\w+)/.exec(sql)?.[1] ?? [])
    const own = ['schema_migration', 'store_probe']
    expect(rows.map(({ table }) => table).sort()).toEqual([...made, ...own].sort())
  })

  test.each(rows)('$table is written by $owner alone', ({ table, owner }) => {
    const writes = new RegExp(
      `(?:insertInto|updateTable|deleteFrom|replaceInto)\\('${table}'|new NamedStore\\(db, '${table}'|name: '${table}',\\s+mode:|(?:insert into|delete from) ${table}\\b`,
    )
    const writers = sources.filter(({ text }) => writes.test(text)).map(({ folder }) => folder)
    expect([...new Set(writers)]).toEqual([owner])
  })
})

test('every runtime dependency has its page in docs/decisions, with the version that is installed', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
  const titles = readdirSync(join(root, 'docs/decisions')).map(
    (name) => read(join('docs/decisions', name)).split('\n')[0] ?? '',
  )
  for (const [name, version] of Object.entries(dependencies))
    expect(
      titles.some((title) => title.includes(`${name} ${version}`)),
      `${name} ${version}`,
    ).toBe(true)
})

describe('docs/billing.md', () => {
  const page = read('docs/billing.md')
  const proofs = [...page.matchAll(/\[✓\]\(\.\.\/([^ )]+) "([^"]+)"\)/g)].map(
    ([, file = '', title = '']) => [file, title] as const,
  )

  test.each(proofs)('%s has a test "%s"', (file, title) => {
    const plain = title.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)
    // The name of a test, of a group, or of a case of a table.
    const named = new RegExp(
      `(?:(?:test|describe)(?:\\.\\w+)*\\(|\\)\\(|name:|^)\\s*\\[?(["'\`])${plain}\\1`,
      'm',
    )
    expect(read(file)).toMatch(named)
  })

  /** Paragraphs, items of lists and rows of tables. */
  const statements = page
    .replaceAll(/```[^]*?```/g, '')
    .split(/\n\n|\n(?=[-|])|\n(?=\d\. )/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '' && !/^(#|\| --- |Each ✓)/.test(statement))

  test('says nothing of a charge without naming the test that proves it', () => {
    const bare = statements.filter(
      (statement, index) => !statement.includes('[✓](') && !isProvenBehind(statements, index),
    )
    expect(bare).toEqual([])
  })
})

/** The head of a table, or of a list: what it announces is proven item by item, or behind its last one. */
function isProvenBehind(statements: readonly string[], index: number): boolean {
  const [statement = '', next = ''] = [statements[index], statements[index + 1]]
  if (/^\d\. /.test(statement) && /^\d\. /.test(next)) return true
  return statement.startsWith('|') ? !statements[index - 1]?.startsWith('|') : /^[-|]/.test(next)
}

describe('links', () => {
  const documents = [
    ...readdirSync(root).filter((name) => name.endsWith('.md')),
    ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join('docs', name)),
  ]

  test.each(documents)('%s links only to files that are there', (path) => {
    for (const [, target = ''] of read(path).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g))
      if (!/^https?:/.test(target)) expect(existsSync(join(root, dirname(path), target)), target).toBe(true)
  })
})

test('the types of the console are those of docs/openapi.json (npm run console:types)', async () => {
  const { consoleTypes } = await import('../bin/console-types/types.ts')
  const made = consoleTypes(join(root, 'docs/openapi.json'))
  const plain = (text: string): string => text.replaceAll(/[\s;|()'",]+/g, '')
  expect(plain(read('console/src/api/types.ts'))).toBe(plain(made))
})
