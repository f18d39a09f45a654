// The configuration: precedence, every fault at once with its place, and secrets that stay out of files.
import { createHash } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { configJsonSchema, describeConfig } from './description.ts'
import { loadConfig, type Config, type ConfigFault } from './config.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tollbridge-config-'))
  path = join(folder, 'gate.yaml')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const load = (
  flags: Record<string, string | boolean>,
  env: Record<string, string> = {},
  yaml?: string,
): Config => {
  if (yaml !== undefined) writeFileSync(path, yaml)
  const result = loadConfig(yaml === undefined ? flags : { ...flags, config: path }, env)
  if ('faults' in result) throw new Error(JSON.stringify(result.faults))
  return result
}
const faultsOf = (
  flags: Record<string, string | boolean | undefined>,
  env: Record<string, string>,
  yaml?: string,
): ConfigFault[] => {
  if (yaml !== undefined) writeFileSync(path, yaml)
  const result = loadConfig(yaml === undefined ? flags : { ...flags, config: path }, env)
  const faults = 'faults' in result ? result.faults : []
  return faults.map(({ where, message }) => ({ where: where.replace(path, 'gate.yaml'), message }))
}

describe('a value', () => {
  test('comes from the flag, else the environment, else the file, else the default, and says which', () => {
    const yaml = 'host: 0.0.0.0\nport: 1000\nhttp:\n  maxDepth: 10\ncalls: {maxInFlight: 500}\n'
    const config = load({ port: '3000' }, { TOLLBRIDGE_PORT: '2000', TOLLBRIDGE_HTTP_MAX_DEPTH: '20' }, yaml)
    expect(config).toMatchObject({
      host: '0.0.0.0',
      port: 3000,
      http: { maxDepth: 20, maxBodyBytes: 4_194_304 },
    })
    const where = (key: string) => config.origins[key]?.where.replace(path, 'gate.yaml')
    expect(where('port')).toBe('--port')
    expect(where('http.maxDepth')).toBe('TOLLBRIDGE_HTTP_MAX_DEPTH')
    expect(where('calls.maxInFlight')).toBe('gate.yaml:5:9')
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
    expect(load({ host: '0.0.0.0' }, { TOLLBRIDGE_EGRESS_ALLOW: 'private,10.0.0.0/8' }).egress.allow).toEqual(
      ['private', '10.0.0.0/8'],
    )
  })

  test('in the file may take variables of the environment, with defaults', () => {
    const yaml = 'port: ${MY_PORT}\nhost: "${MY_HOST:-0.0.0.0}"\nhttp: {maxDepth: "${NONE:-9}"}\n'
    expect(load({}, { MY_PORT: '4000' }, yaml)).toMatchObject({
      port: 4000,
      host: '0.0.0.0',
      http: { maxDepth: 9 },
    })
  })

  test("of a Kubernetes service of our name does not count as the gateway's port", () => {
    const env = { TOLLBRIDGE_PORT: 'tcp://10.0.0.1:80', TOLLBRIDGE_ADMIN_PORT: 'tcp://10.0.0.2:80' }
    expect(load({}, env)).toMatchObject({ port: 8080, admin: { host: '127.0.0.1' } })
    expect(load({}, env).admin.port).toBeUndefined()
  })

  test('of the listener of administration is refused where there would be none, or where both would be one', () => {
    expect(load({}, { TOLLBRIDGE_ADMIN_PORT: '0' }).admin).toMatchObject({ host: '127.0.0.1', port: 0 })
    const alone = faultsOf({}, { TOLLBRIDGE_ADMIN_HOST: '10.0.0.1' }, 'admin: {allowedHosts: [a.example]}\n')
    expect(alone).toEqual([
      { where: 'TOLLBRIDGE_ADMIN_HOST', message: 'admin.host means nothing without admin.port' },
      { where: 'gate.yaml:1:9', message: 'admin.allowedHosts means nothing without admin.port' },
    ])
    expect(faultsOf({ port: '9000' }, { TOLLBRIDGE_ADMIN_PORT: '9000' })).toEqual([
      {
        where: 'TOLLBRIDGE_ADMIN_PORT',
        message: 'admin.port must be another one than port, or admin.host another one than host',
      },
    ])
    expect(faultsOf({ port: '0' }, { TOLLBRIDGE_ADMIN_PORT: '0' })).toEqual([])
    expect(faultsOf({ host: '0.0.0.0' }, { TOLLBRIDGE_ADMIN_PORT: 'x' })[0]?.where).toBe(
      'TOLLBRIDGE_ADMIN_PORT',
    )
  })

  test('has the taxes and numbers of invoices, and says what is wrong with them', () => {
    const tax = '[{name: VAT, rate: "0.19", when: {country: DE}}]'
    expect(load({}, {}, `invoices: {tax: ${tax}, numberFormat: "R{seq}"}\n`).invoices).toMatchObject({
      automatic: 'off',
      numberFormat: 'R{seq}',
      tax: [{ name: 'VAT', rate: '0.19', when: { country: 'DE' } }],
    })
    const wrong = 'invoices: {tax: [{name: VAT, rate: 0.19}], numberFormat: INV}\n'
    expect(faultsOf({}, {}, wrong).map(({ message }) => message)).toEqual([
      'invoices.numberFormat must have {seq} or {seq:6} in it, once',
      'invoices.tax.0.rate must be a fraction in quotes such as "0.19"',
    ])
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
    const env = {
      TOLLBRIDGE_LOG_LEVEL: 'loud',
      TOLLBRIDGE_SECRET_KEY: 'changeme',
      TOLLBRIDGE_ADMIN_PASSWORD: 'short',
    }
    const faults = faultsOf({ port: '99999' }, env, yaml)
    expect(faults).toEqual(
      expect.arrayContaining([
        { where: '--port', message: 'port must be a whole number from 0 to 65535' },
        { where: 'TOLLBRIDGE_LOG_LEVEL', message: expect.stringContaining('logLevel must be one of') },
        { where: 'gate.yaml:1:1', message: 'unknown key prot; did you mean port?' },
        { where: 'gate.yaml:3:3', message: 'unknown key http.maxDepht; did you mean http.maxDepth?' },
        {
          where: 'gate.yaml:4:3',
          message: 'http.maxBodyBytes must be a whole number from 1024 to 268435456',
        },
        { where: 'gate.yaml:5:1', message: 'auth must be a section with keys' },
        {
          where: 'gate.yaml:6:1',
          message: 'unknown key secretKey; set TOLLBRIDGE_SECRET_KEY in the environment instead',
        },
        { where: 'gate.yaml:7:1', message: 'unknown key maxTotal; did you mean sessions.maxTotal?' },
        { where: 'TOLLBRIDGE_SECRET_KEY', message: expect.stringContaining('openssl rand') },
        { where: 'TOLLBRIDGE_ADMIN_PASSWORD', message: 'must have 10 to 200 characters' },
      ]),
    )
    expect(faults).toHaveLength(10)
  })

  test.each([
    {
      fault: 'a file that is not there',
      flags: { config: '/nowhere/x.yaml' },
      yaml: undefined,
      where: '--config',
      part: 'there is no such file',
    },
    { fault: 'broken YAML', flags: {}, yaml: 'a: [1\nb: 2\n', where: 'gate.yaml:2:1', part: 'Flow sequence' },
    {
      fault: 'a key that comes twice',
      flags: {},
      yaml: 'port: 1\nport: 2\n',
      where: 'gate.yaml:2:1',
      part: 'unique',
    },
    { fault: 'a file that is a list', flags: {}, yaml: '- port\n', where: 'gate.yaml', part: 'mapping' },
    {
      fault: 'a variable that is not set',
      flags: {},
      yaml: 'host: a\npublicUrl: ${MISSING}\n',
      where: 'gate.yaml:2:12',
      part: 'MISSING is not set',
    },
    {
      fault: 'a variable with its own message',
      flags: {},
      yaml: 'host: ${MISSING:?set it}\n',
      where: 'gate.yaml:1:7',
      part: 'set it',
    },
    {
      fault: 'a database that is not PostgreSQL',
      flags: { databaseUrl: 'mysql://x' },
      yaml: undefined,
      where: '--database-url',
      part: 'postgres://',
    },
    {
      fault: 'a public URL with a credential',
      flags: { publicUrl: 'http://a:b@c' },
      yaml: undefined,
      where: '--public-url',
      part: 'without credentials',
    },
    {
      fault: 'an egress rule',
      flags: {},
      yaml: 'egress: {allow: [everything]}\n',
      where: 'gate.yaml:1:18',
      part: 'CIDR',
    },
    {
      fault: 'a relative command',
      flags: {},
      yaml: 'stdio: {allow: [./run.sh]}\n',
      where: 'gate.yaml:1:17',
      part: 'absolute',
    },
    {
      fault: 'a time zone',
      flags: {},
      yaml: 'accounts: {timeZone: Mars}\n',
      where: 'gate.yaml:1:12',
      part: 'Europe/Berlin',
    },
    {
      fault: 'a port in words',
      flags: { port: 'http' },
      yaml: undefined,
      where: '--port',
      part: 'whole number',
    },
  ])('name the place of $fault', ({ flags, yaml, where, part }) => {
    const faults = faultsOf({ ...flags }, {}, yaml)
    expect(faults[0]?.where).toBe(where)
    expect(faults.map(({ message }) => message).join('\n')).toContain(part)
  })

  test('show no secret', () => {
    const faults = faultsOf(
      {},
      { TOLLBRIDGE_DATABASE_URL: 'postgre://u:hunter2@h/d', TOLLBRIDGE_SECRET_KEY: 'password1' },
    )
    expect(faults).toHaveLength(2)
    expect(JSON.stringify(faults)).not.toMatch(/hunter2|password1/)
  })
})

describe('what is shown of a configuration', () => {
  test('covers its secrets', () => {
    const config = load(
      {},
      {
        TOLLBRIDGE_DATABASE_URL: 'postgres://u:hunter2@h/d',
        TOLLBRIDGE_METRICS_TOKEN: 'metrics-t0ken-xyz',
        TOLLBRIDGE_BILLING_STRIPE_WEBHOOK_SECRET: 'whsec_str1pe_secret,whsec_str1pe_next_secret',
        TOLLBRIDGE_BILLING_TOP_UP_WEBHOOK_SECRET: `whsec_${Buffer.from('st4ndard, of 24 bytes or more').toString('base64')}`,
      },
    )
    const shown = JSON.stringify(describeConfig(config))
    expect(shown).not.toMatch(/hunter2|t0ken|str1pe|c3Q0bmRhcmQ/)
    expect(shown).toContain('postgres://u:[redacted]@h/d')
  })

  test('covers the secrets in its lists', () => {
    const login = '{name: sso, clientId: gate, clientSecret: hunter2-at-the-issuer}'
    const config = load({}, {}, `oauth:\n  issuers: [{issuer: "https://sso.example", login: ${login}}]\n`)
    const shown = JSON.stringify(describeConfig(config))
    expect(shown).not.toContain('hunter2')
    expect(shown).toContain('"clientId":"gate","clientSecret":"[redacted]"')
  })

  test('has a JSON Schema with descriptions and without secrets', () => {
    const published = configJsonSchema()
    expect(published).toHaveProperty('properties.http.properties.maxDepth.description')
    expect(JSON.stringify(published)).not.toContain('secretKey')
  })
})

describe('a secret in a file', () => {
  const key = createHash('sha256').update('any').digest('hex')
  const put = (text: string | Uint8Array, mode = 0o600): string => {
    writeFileSync(join(folder, 'secret'), text, { mode })
    return join(folder, 'secret')
  }

  test('counts as the value of its variable, and says where it is from', () => {
    const config = load({}, { TOLLBRIDGE_DATABASE_URL_FILE: put('postgres://u:hunter2@h/d\n') })
    expect(config.databaseUrl).toBe('postgres://u:hunter2@h/d')
    expect(config.origins['databaseUrl']).toEqual({ kind: 'env', where: 'TOLLBRIDGE_DATABASE_URL_FILE' })
    expect(config.warnings).toEqual([])
    expect(load({}, { TOLLBRIDGE_ADMIN_PASSWORD_FILE: put('long-enough-1\r\n') }).adminPassword).toBe(
      'long-enough-1',
    )
    expect(load({}, { TOLLBRIDGE_SECRET_KEY_FILE: put(key) }).secretKey).toEqual(
      load({}, { TOLLBRIDGE_SECRET_KEY: key }).secretKey,
    )
    const token = load({}, { TOLLBRIDGE_METRICS_TOKEN_FILE: put('metrics-token-of-16') }).metrics.token
    expect(token).toBe('metrics-token-of-16')
  })

  test('that others can read is a warning', () => {
    const path = put('long-enough-1')
    chmodSync(path, 0o644)
    expect(load({}, { TOLLBRIDGE_ADMIN_PASSWORD_FILE: path }).warnings.join()).toContain(
      'can be read by others',
    )
  })

  test('is a fault at its variable where it cannot be the value, and no fault shows it', () => {
    const large = put(Buffer.alloc(65_537, 'x'))
    const faults = faultsOf(
      {},
      {
        TOLLBRIDGE_DATABASE_URL_FILE: join(folder, 'none'),
        TOLLBRIDGE_ADMIN_PASSWORD_FILE: folder,
        TOLLBRIDGE_SECRET_KEY_FILE: large,
        TOLLBRIDGE_METRICS_TOKEN_FILE: large,
        TOLLBRIDGE_METRICS_TOKEN: 'metrics-token-of-16',
      },
    )
    expect(faults.map(({ where, message }) => [where, message.replace(/.*: /, '')])).toEqual([
      ['TOLLBRIDGE_SECRET_KEY_FILE', 'it is larger than 65536 bytes'],
      ['TOLLBRIDGE_ADMIN_PASSWORD_FILE', 'it is not a regular file'],
      ['TOLLBRIDGE_DATABASE_URL_FILE', 'there is no such file'],
      ['TOLLBRIDGE_METRICS_TOKEN_FILE', 'is set beside TOLLBRIDGE_METRICS_TOKEN; keep one of them'],
    ])
    const weak = faultsOf({}, { TOLLBRIDGE_SECRET_KEY_FILE: put('hunter2') })
    expect(weak.map(({ where }) => where)).toEqual(['TOLLBRIDGE_SECRET_KEY_FILE'])
    expect(JSON.stringify(weak)).not.toContain('hunter2')
    const wrong = faultsOf({}, { TOLLBRIDGE_DATABASE_URL_FILE: put('mysql://u:hunter2@h/d') })
    expect(wrong).toEqual([
      { where: 'TOLLBRIDGE_DATABASE_URL_FILE', message: 'databaseUrl must be a postgres:// URL' },
    ])
  })
})

describe('secrets for servers', () => {
  const yaml = 'secrets:\n  crm:\n    env: CRM_TOKEN\n    servers: [crm]\n'

  test('of the environment are read at the start and not shown', () => {
    const config = load({}, { CRM_TOKEN: 'hunter2' }, yaml)
    expect(config.secretVariables).toEqual({ CRM_TOKEN: 'hunter2' })
    const shown = describeConfig(config)
    expect(shown.find(({ key }) => key === 'secrets')?.value).toEqual({ crm: 'env CRM_TOKEN' })
    expect(JSON.stringify(shown)).not.toContain('hunter2')
  })

  test('that are not set, or not declared as they must be, are faults with their place', () => {
    expect(faultsOf({}, {}, yaml)).toEqual([
      { where: 'gate.yaml:3:5', message: 'secrets.crm: the environment variable CRM_TOKEN is not set' },
    ])
    expect(faultsOf({}, {}, 'secrets:\n  crm:\n    servers: [a]\n')).toEqual([
      { where: 'gate.yaml:2:3', message: 'secrets.crm needs exactly one of env, file and command' },
    ])
  })
})
