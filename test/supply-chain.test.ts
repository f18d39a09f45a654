// What a release is made of: no script of it runs at installation, its bill of materials is the lock file, and it holds no more than it needs.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '..')

interface Locked {
  readonly version: string
  readonly integrity?: string
  readonly resolved?: string
  readonly dev?: boolean
  readonly devOptional?: boolean
  readonly optional?: boolean
  readonly hasInstallScript?: boolean
}
interface Component {
  readonly name: string
  readonly version: string
  readonly hashes: readonly { readonly alg: string; readonly content: string }[]
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const locked = Object.entries<Locked>(
  JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages,
)
  .filter(([path]) => path !== '')
  .map(([path, entry]) => ({ ...entry, name: path.slice(path.lastIndexOf('node_modules/') + 13) }))
/** What an installation gets that only runs the gateway. */
const shipped = locked.filter(({ dev, devOptional }) => !dev && !devOptional)

const npm = (...args: string[]) =>
  JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))

describe('an installation', () => {
  test('runs no script: neither ours nor that of any package that it brings', () => {
    for (const name of ['preinstall', 'install', 'postinstall', 'prepublish', 'prepare', 'preprepare'])
      expect(manifest.scripts[name], name).toBeUndefined()
    expect(shipped.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name)).toEqual([])
  })

  test('gets the very bytes that were tested, and no more packages than we have looked at', () => {
    expect(locked.filter(({ integrity }) => !integrity?.startsWith('sha512-'))).toEqual([])
    // Where packages come from is the affair of whoever installs.
    expect(locked.filter((entry) => entry.resolved !== undefined)).toEqual([])
    for (const [name, version] of Object.entries<string>({
      ...manifest.dependencies,
      ...manifest.devDependencies,
    }))
      expect(version, name).toMatch(/^\d+\.\d+\.\d+[\w.-]*$/)
    expect(Object.keys(manifest.dependencies).length).toBeLessThanOrEqual(17)
    expect(shipped.filter(({ optional }) => !optional).length).toBeLessThanOrEqual(130)
  })
})

describe('the bill of materials', () => {
  let components: Component[]
  beforeAll(() => {
    components = npm('run', '--silent', 'sbom').components
  })
  const sha512 = ({ hashes }: Component): string =>
    `sha512-${Buffer.from(hashes.find(({ alg }) => alg === 'SHA-512')?.content ?? '', 'hex').toString('base64')}`

  test('names every package of the lock file, and none besides', () => {
    const key = ({ name, version }: { name: string; version: string }): string => `${name}@${version}`
    const named = new Map(components.map((each) => [key(each), each]))
    const known = new Map(shipped.map((each) => [key(each), each]))
    expect([...named.keys()].filter((each) => !known.has(each))).toEqual([])
    expect([...known.keys()].filter((each) => !named.has(each))).toEqual([])
    // Those that the manifest names stand in it with the version that it names.
    for (const [name, version] of Object.entries<string>(manifest.dependencies))
      expect(named.has(`${name}@${version}`), name).toBe(true)
    for (const [each, component] of named) expect(sha512(component), each).toBe(known.get(each)?.integrity)
  })
})

test('the package has sources, documents and its command, and nothing of ours or of the tests', () => {
  const [{ files }] = npm('pack', '--dry-run', '--json', '--ignore-scripts')
  const paths: string[] = files.map(({ path }: { path: string }) => path)
  const odd = paths.filter(
    (path) => !/^(src|bin|docs|console\/dist)\/|^(package\.json|[A-Z]+(\.md)?)$/.test(path),
  )
  expect(odd).toEqual([])
  expect(paths.filter((path) => /\.test\.ts$|(^|\/)\.|\.(db|key|pem|log)$/.test(path))).toEqual([])
  for (const path of ['bin/tollbridge.mjs', 'src/cli.ts', 'docs/openapi.json', 'LICENSE', 'README.md'])
    expect(paths).toContain(path)
})
