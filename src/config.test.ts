// The configuration: precedence, every fault at once with its place, and secrets that stay out of files.
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openSecretFile, secretPath } from './base/secret-file.ts'
import { configJsonSchema, describeConfig, loadConfig, type Config, type ConfigFault } from './config.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tollbridge-config-'))
  path = join(folder, 'gate.yaml')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const load = (flags: Record<string, string | boolean>, env: Record<string, string> = {}, yaml?: string): Config => {
  if (yaml !== undefined) writeFileSync(path, yaml)
  const result = loadConfig(yaml === undefined ? flags : { ...flags, config: path }, env)
  if ('faults' in result) throw new Error(JSON.stringify(result.faults))
  return result
}
const faultsOf = (flags: Record<string, string | boolean>, env: Record<string, string>, yaml?: string): ConfigFault[] => {
  if (yaml !== undefined) writeFileSync(path, yaml)
  const result = loadConfig(yaml === undefined ? flags : { ...flags, config: path }, env)
  const faults = 'faults' in result ? result.faults : []
  return faults.map(({ where, message }) => ({ where: where.replace(path, 'gate.yaml'), message }))
}

describe('a value', () => {
  test('comes from the flag, else the environment, else the file, else the default, and says which', () => {
    const yaml = 'host: 0.0.0.0\nport: 1000\nhttp:\n  maxDepth: 10\ncalls: {timeoutMs: 500}\n'
    const config = load({ port: '3000' }, { TOLLBRIDGE_PORT: '2000', TOLLBRIDGE_HTTP_MAX_DEPTH: '20' }, yaml)
    expect(config).toMatchObject({ host: '0.0.0.0', port: 3000, http: { maxDepth: 20, maxBodyBytes: 4_194_304 } })
    const where = (key: string) => config.origins[key]?.where.replace(path, 'gate.yaml')
    expect(where('port')).toBe('--port')
    expect(where('http.maxDepth')).toBe('TOLLBRIDGE_HTTP_MAX_DEPTH')
    expect(where('calls.timeoutMs')).toBe('gate.yaml:5:9')
    expect(where('http.maxBodyBytes')).toBe('default')
  })

  test('without anything is the documented default', () => {
    expect(load({}, {})).toMatchObject({
      host: '127.0.0.1',
      port: 8080,
      data: join(process.cwd(), 'data'),
      logLevel: 'info',
      durability: 'disk',
      demo: false,
      stdio: { allow: [] },
      egress: { allow: ['loopback'] },
      auth: { registration: 'closed' },
      accounts: { defaultMode: 'postpaid', currency: 'USD', timeZone: 'UTC' },
      shutdown: { drainMs: 20_000 },
    })
  })

  test('reads lists from the environment, where an empty one means none', () => {
    const config = load({}, { TOLLBRIDGE_STDIO_ALLOW: 'npx, /usr/bin/uvx', TOLLBRIDGE_EGRESS_ALLOW: '' })
    expect(config.stdio.allow).toEqual(['npx', '/usr/bin/uvx'])
    expect(config.egress.allow).toEqual([])
  })

  test('allows loopback upstreams only while the gateway itself listens on loopback', () => {
    expect(load({ host: '0.0.0.0' }).egress.allow).toEqual([])
    expect(load({ host: '::1' }).egress.allow).toEqual(['loopback'])
    expect(load({ host: '0.0.0.0' }, { TOLLBRIDGE_EGRESS_ALLOW: 'private,10.0.0.0/8' }).egress.allow).toEqual([
      'private',
      '10.0.0.0/8',
    ])
  })

  test('in the file may take variables of the environment, with defaults', () => {
    const yaml = 'port: ${MY_PORT}\nhost: "${MY_HOST:-0.0.0.0}"\nhttp: {maxDepth: "${NONE:-9}"}\n'
    expect(load({}, { MY_PORT: '4000' }, yaml)).toMatchObject({ port: 4000, host: '0.0.0.0', http: { maxDepth: 9 } })
  })

  test("of a Kubernetes service of our name does not count as the gateway's port", () => {
    expect(load({}, { TOLLBRIDGE_PORT: 'tcp://10.0.0.1:80' }).port).toBe(8080)
  })

  test('that nobody reads is warned of, with the name that was probably meant', () => {
    expect(load({}, { TOLLBRIDGE_LOGLEVEL: 'debug' }).warnings).toEqual([
      'The environment variable TOLLBRIDGE_LOGLEVEL means nothing here; did you mean TOLLBRIDGE_LOG_LEVEL?',
    ])
  })
})

describe('faults', () => {
  test('are all reported at once, each with its place', () => {
    const yaml = 'prot: 80\nhttp:\n  maxDepht: 3\n  maxBodyBytes: big\nauth: 5\nsecretKey: x\nmaxTotal: 4\n'
    const env = { TOLLBRIDGE_LOG_LEVEL: 'loud', TOLLBRIDGE_SECRET_KEY: 'changeme', TOLLBRIDGE_ADMIN_PASSWORD: 'short' }
    const faults = faultsOf({ port: '99999' }, env, yaml)
    expect(faults).toEqual(
      expect.arrayContaining([
        { where: '--port', message: 'port must be a whole number from 0 to 65535' },
        { where: 'TOLLBRIDGE_LOG_LEVEL', message: expect.stringContaining('logLevel must be one of') },
        { where: 'gate.yaml:1:1', message: 'unknown key prot; did you mean port?' },
        { where: 'gate.yaml:3:3', message: 'unknown key http.maxDepht; did you mean http.maxDepth?' },
        { where: 'gate.yaml:4:3', message: 'http.maxBodyBytes must be a whole number from 1024 to 268435456' },
        { where: 'gate.yaml:5:1', message: 'auth must be a section with keys' },
        { where: 'gate.yaml:6:1', message: 'unknown key secretKey; set TOLLBRIDGE_SECRET_KEY in the environment instead' },
        { where: 'gate.yaml:7:1', message: 'unknown key maxTotal; did you mean sessions.maxTotal?' },
        { where: 'TOLLBRIDGE_SECRET_KEY', message: expect.stringContaining('openssl rand') },
        { where: 'TOLLBRIDGE_ADMIN_PASSWORD', message: 'must have 10 to 200 characters' },
      ]),
    )
    expect(faults).toHaveLength(10)
  })

  test.each([
    ['a file that is not there', { config: '/nowhere/x.yaml' }, undefined, '--config', 'there is no such file'],
    ['broken YAML', {}, 'a: [1\nb: 2\n', 'gate.yaml:2:1', 'Flow sequence'],
    ['a key that comes twice', {}, 'port: 1\nport: 2\n', 'gate.yaml:2:1', 'unique'],
    ['a file that is a list', {}, '- port\n', 'gate.yaml', 'mapping'],
    ['a variable that is not set', {}, 'host: a\npublicUrl: ${MISSING}\n', 'gate.yaml:2:12', 'MISSING is not set'],
    ['a variable with its own message', {}, 'host: ${MISSING:?set it}\n', 'gate.yaml:1:7', 'set it'],
    ['a database that is not PostgreSQL', { databaseUrl: 'mysql://x' }, undefined, '--database-url', 'postgres://'],
    ['a public URL with a credential', { publicUrl: 'http://a:b@c' }, undefined, '--public-url', 'without credentials'],
    ['an egress rule', {}, 'egress: {allow: [everything]}\n', 'gate.yaml:1:18', 'CIDR'],
    ['a relative command', {}, 'stdio: {allow: [./run.sh]}\n', 'gate.yaml:1:17', 'absolute'],
    ['a time zone', {}, 'accounts: {timeZone: Mars}\n', 'gate.yaml:1:12', 'Europe/Berlin'],
    ['a port in words', { port: 'http' }, undefined, '--port', 'whole number'],
  ])('name the place of %s', (_name, flags, yaml, where, part) => {
    const faults = faultsOf(flags, {}, yaml)
    expect(faults[0]?.where).toBe(where)
    expect(faults.map(({ message }) => message).join('\n')).toContain(part)
  })

  test('show no secret', () => {
    const faults = faultsOf({}, { TOLLBRIDGE_DATABASE_URL: 'postgre://u:hunter2@h/d', TOLLBRIDGE_SECRET_KEY: 'password1' })
    expect(faults).toHaveLength(2)
    expect(JSON.stringify(faults)).not.toMatch(/hunter2|password1/)
  })
})

describe('what is shown of a configuration', () => {
  test('covers its secrets', () => {
    const config = load({}, { TOLLBRIDGE_DATABASE_URL: 'postgres://u:hunter2@h/d', TOLLBRIDGE_METRICS_TOKEN: 'metrics-t0ken-xyz' })
    const shown = JSON.stringify(describeConfig(config))
    expect(shown).not.toMatch(/hunter2|t0ken/)
    expect(shown).toContain('postgres://u:[redacted]@h/d')
  })

  test('has a JSON Schema with descriptions and without secrets', () => {
    const published = configJsonSchema()
    expect(published).toHaveProperty('properties.http.properties.maxDepth.description')
    expect(JSON.stringify(published)).not.toContain('secretKey')
  })
})

describe('the secret file', () => {
  test('is made once, for its owner alone, and gives the same secret again', () => {
    const data = join(folder, 'data')
    const first = openSecretFile(data)
    expect(first).toBeInstanceOf(Uint8Array)
    expect(statSync(secretPath(data)).mode & 0o777).toBe(0o600)
    expect(openSecretFile(data)).toEqual(first)
  })

  test('is refused when others can read it, or when it is weak', () => {
    openSecretFile(folder)
    chmodSync(secretPath(folder), 0o640)
    expect(openSecretFile(folder)).toEqual({ problem: expect.stringContaining('chmod 600') })
    chmodSync(secretPath(folder), 0o600)
    writeFileSync(secretPath(folder), 'changeme')
    expect(openSecretFile(folder)).toEqual({ problem: expect.stringContaining('can be guessed') })
  })
})
