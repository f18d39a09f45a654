// Writes the bill of materials of an installation to standard output: CycloneDX 1.6, made of the lock file alone.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

interface Locked {
  readonly version: string
  readonly integrity: string
  readonly license?: string
  readonly dev?: boolean
  readonly devOptional?: boolean
  readonly optional?: boolean
}

const root = resolve(import.meta.dirname, '..')
const read = (name: string): string => readFileSync(join(root, name), 'utf8')
const manifest = JSON.parse(read('package.json')) as { name: string; version: string; license: string }
const lockText = read('package-lock.json')
const { packages } = JSON.parse(lockText) as { packages: Record<string, Locked> }

/** Package URL (ECMA-427): the scope's @ is encoded, its slash is not. */
const purl = (name: string, version: string): string => `pkg:npm/${name.replace('@', '%40')}@${version}`
const licensed = (license: string | undefined) =>
  license === undefined ? {} : { licenses: [{ expression: license }] }

const components = new Map<string, object>()
for (const [path, entry] of Object.entries(packages)) {
  if (path === '' || entry.dev || entry.devOptional) continue
  const { version, integrity, license } = entry
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
  const ref = purl(name, version)
  const content = Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex')
  components.set(ref, {
    type: 'library',
    'bom-ref': ref,
    name,
    version,
    purl: ref,
    // What is only for other platforms is not always there.
    scope: entry.optional ? 'optional' : 'required',
    hashes: [{ alg: 'SHA-512', content }],
    ...licensed(license),
  })
}

const hash = createHash('sha256').update(lockText).digest('hex')
const uuid = [
  hash.slice(0, 8),
  hash.slice(8, 12),
  `8${hash.slice(13, 16)}`,
  `8${hash.slice(17, 20)}`,
  hash.slice(20, 32),
]
const own = purl(manifest.name, manifest.version)
const bill = {
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  // The same lock file is the same bill.
  serialNumber: `urn:uuid:${uuid.join('-')}`,
  version: 1,
  metadata: {
    component: {
      type: 'application',
      'bom-ref': own,
      name: manifest.name,
      version: manifest.version,
      purl: own,
      ...licensed(manifest.license),
    },
  },
  components: [...components.values()],
}
process.stdout.write(`${JSON.stringify(bill, undefined, 2)}\n`)
