// The settings: every key with its range, its default and what it is for.
import { z } from 'zod'
import { namedSecret, secretName } from '../references/named-secret.ts'
import { schemes } from '../x402/shapes.ts'
import { issuer } from './issuer-schema.ts'
import {
  whole,
  choice,
  text,
  section,
  milliseconds,
  hourMs,
  dayMs,
  port,
  webOrigin,
  publicUrl,
  topUpUrl,
  secretPattern,
  standardPattern,
  webhookSecret,
  evmAddress,
  egressRule,
  proxyRule,
  command,
  timeZone,
  numberFormat,
} from './values.ts'

const partyText = (max: number) =>
  text('must be a text').max(max, `must have at most ${max} characters`).optional()
const country = z.string().regex(/^[A-Z]{2}$/, 'must be an ISO 3166 code such as DE')
const tax = section({
  name: text('must be a text').max(60),
  rate: z
    .string('must be a fraction in quotes such as "0.19"')
    .regex(/^(0(\.\d{1,9})?|1(\.0{1,9})?)$/, 'must be a fraction from 0 to 1 such as "0.19"'),
  when: section({ country: country.optional() }).optional(),
})

/** Everything that file, environment and (some of it) flags may set. Descriptions go into the published JSON Schema. */
export const settingsSchema = section({
  host: text('must be a host name or address').default('127.0.0.1').describe('Address to listen on.'),
  port: whole(0, 65_535, 8080).describe('Port to listen on; 0 takes any free one.'),
  data: text('must be a path').default('./data').describe('Folder of the embedded store and the secret key.'),
  databaseUrl: z
    .string()
    .regex(/^postgres(ql)?:\/\/./, 'must be a postgres:// URL')
    .optional()
    .describe('PostgreSQL; absent means SQLite in the data folder.'),
  publicUrl: publicUrl
    .optional()
    .describe('Base of the URLs that are shown to clients. Default: http://HOST:PORT.'),
  admin: section({
    host: text('must be a host name or address').default('127.0.0.1').describe('Address of its listener.'),
    port: port
      .optional()
      .describe('Port of a listener for administration alone. Absent: everything is at host and port.'),
    publicUrl: publicUrl.optional().describe('Base of its URLs. Default: http://HOST:PORT of it.'),
    allowedHosts: z.array(text('must be a list'), 'must be a list').default([]),
    allowedOrigins: z.array(webOrigin, 'must be a list').default([]),
  })
    .prefault({})
    .describe('Where the API, its pages and the metrics are, apart from the MCP endpoints.'),
  logLevel: choice(['silent', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
  durability: choice(['disk', 'process'])
    .default('disk')
    .describe('disk: an answered call survives a power loss; process: it survives a killed process.'),
  demo: z
    .boolean('must be true or false')
    .default(false)
    .describe('Registers sample servers, prices and an account; an empty store gets a month of usage.'),
  stdio: section({
    allow: z.array(command, 'must be a list').default([]).describe('Commands that stdio servers may run.'),
    maxMemoryMib: whole(0, 1_048_576, 2048).describe('Of one child with all that it started; 0: no limit.'),
    maxProcesses: whole(0, 100_000, 256).describe('Of one child and all that it started; 0: no limit.'),
  }).prefault({}),
  egress: section({
    allow: z
      .array(egressRule, 'must be a list')
      .optional()
      .describe(
        'Non-public addresses of upstreams: loopback, private, CIDRs. Default: loopback while host is.',
      ),
  }).prefault({}),
  secrets: z
    .record(
      z.string().regex(secretName, 'must be a name of letters, digits and . _ -'),
      namedSecret,
      'must map names to {env, file or command, servers}',
    )
    .refine((all) => Object.keys(all).length <= 1000, 'must have at most 1000 entries')
    .default({})
    .describe('Secrets that registrations of servers may refer to as ${secret:NAME}.'),
  auth: section({
    registration: choice(['closed', 'open']).default('closed').describe('Whether anybody may make a user.'),
    accessTokenMinutes: whole(1, 1440, 15),
    refreshTokenDays: whole(1, 365, 30),
    sessionHours: whole(1, 8760, 12),
  }).prefault({}),
  oauth: section({
    enabled: z
      .boolean('must be true or false')
      .optional()
      .describe('The built-in authorization server. Default: true where publicUrl is https or loopback.'),
    accessTokenMinutes: whole(1, 60, 10).describe('An access token of an OAuth client lives.'),
    grantDays: whole(1, 365, 30).describe('After which a user has to allow a client again.'),
    dynamicRegistration: z
      .boolean('must be true or false')
      .default(true)
      .describe('Whether clients may register themselves (RFC 7591).'),
    metadataDocuments: z
      .boolean('must be true or false')
      .default(true)
      .describe('Whether a client may be known by the URL of its metadata.'),
    maxClients: whole(1, 1_000_000, 10_000).describe('Registered clients at once.'),
    registrationsPerHour: whole(1, 1_000_000, 20).describe(
      'Clients that one address may register; behind a proxy that is all of them.',
    ),
    issuers: z
      .array(issuer, 'must be a list of {issuer, …}')
      .max(20, 'must have at most 20 entries')
      .default([])
      .describe('Other issuers whose tokens are taken.')
      .refine(
        (list) => new Set(list.map((each) => each.issuer)).size === list.length,
        'must name each issuer once',
      ),
  }).prefault({}),
  accounts: section({
    defaultMode: choice(['postpaid', 'prepaid']).default('postpaid'),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code such as USD')
      .default('USD'),
    timeZone: timeZone.default('UTC'),
  }).prefault({}),
  billing: section({
    topUpUrl: topUpUrl
      .optional()
      .describe('Where accounts are topped up, with {account}, {amount} and {currency} to be filled in.'),
    stripeWebhookSecret: webhookSecret(
      secretPattern,
      'must be a signing secret of 16 characters or more, or two of them with a comma',
    )
      .optional()
      .describe(
        'Signing secret of the Stripe webhook that tops accounts up; two, with a comma, while it changes.',
      ),
    topUpWebhookSecret: webhookSecret(
      standardPattern,
      'must be whsec_ and at least 24 bytes in base64, or two of them with a comma',
    )
      .optional()
      .describe('The same for a webhook that is signed as Standard Webhooks asks: whsec_ and base64.'),
  }).prefault({}),
  x402: section({
    facilitatorUrl: publicUrl
      .optional()
      .describe('Verifies and settles payments for single calls. Absent: none are taken.'),
    facilitatorToken: z
      .string('must be a text')
      .regex(/^[\x21-\x7e]{1,4096}$/, 'must be a token of printable characters')
      .optional()
      .describe('Bearer token for the facilitator.'),
    payTo: evmAddress.optional().describe('Address that is paid. Needed with facilitatorUrl.'),
    network: z
      .string()
      .regex(/^eip155:\d{1,20}$/, 'must be an EVM network such as eip155:8453')
      .optional()
      .describe('CAIP-2 name of the network. Needed with facilitatorUrl.'),
    asset: evmAddress.optional().describe('Contract of the token. Needed with facilitatorUrl.'),
    assetDecimals: whole(0, 18, 6),
    assetName: text('must be a text').max(100).default('USDC').describe('As the token signs (EIP-712).'),
    assetVersion: text('must be a text').max(20).default('2').describe('As the token signs (EIP-712).'),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code such as USD')
      .default('USD')
      .describe('Currency of the accounts that one unit of the token is worth one of.'),
    schemes: z
      .array(choice(schemes), 'must be a list of upto and exact')
      .min(1, 'must name upto or exact')
      .default(['upto', 'exact'])
      .describe('upto: the actual cost is settled; exact: where every call costs the same.'),
    timeoutMs: milliseconds(100, 120_000, 10_000, 'For each answer of the facilitator.'),
    settleWithinS: whole(30, 86_400, 600).describe('A payment is good for so long after its call. Seconds.'),
    retryMs: milliseconds(100, hourMs, 15_000, 'Between two tries to settle what could not be settled.'),
  })
    .check(({ value, issues }) => {
      if (value.facilitatorUrl === undefined) return
      for (const key of ['payTo', 'network', 'asset'] as const)
        if (value[key] === undefined)
          issues.push({ code: 'custom', path: [key], message: 'is needed with facilitatorUrl', input: value })
    })
    .prefault({}),
  invoices: section({
    automatic: choice(['off', 'draft', 'finalize'])
      .default('off')
      .describe('What is made of each closed month of an account with usage.'),
    numberFormat: numberFormat('INV-{year}-{seq:6}').describe('Of invoices; {year} starts a new count.'),
    creditNoteFormat: numberFormat('CN-{year}-{seq:6}').describe('Of credit notes.'),
    dueDays: whole(0, 365, 14).describe('From the issue of an invoice until it is due.'),
    tax: z
      .array(tax, 'must be a list of {name, rate, when?}')
      .max(10, 'must have at most 10 entries')
      .default([])
      .describe(
        'Taxes on the subtotal, each as its own line; `when.country` is the country of who is billed.',
      ),
    seller: section({
      name: partyText(200),
      address: partyText(500).describe('Lines separated by line feeds.'),
      country: country.optional(),
      taxId: partyText(100),
      email: partyText(254),
      payment: partyText(500).describe('How to pay, at the foot of each invoice.'),
    }).prefault({}),
  }).prefault({}),
  http: section({
    allowedOrigins: z
      .array(webOrigin, 'must be a list')
      .default([])
      .describe('Origins of web pages that may call.'),
    allowedHosts: z
      .array(text('must be a list'), 'must be a list')
      .default([])
      .describe('Host names served besides our own.'),
    trustedProxies: z
      .array(proxyRule, 'must be a list')
      .default([])
      .describe('Proxies whose X-Forwarded-For counts: loopback, private, addresses, CIDRs.'),
    maxBodyBytes: whole(1024, 256 * 1024 * 1024, 4 * 1024 * 1024),
    maxDepth: whole(4, 1000, 64).describe('Nesting of a JSON body.'),
    maxHeaderBytes: whole(1024, 1024 * 1024, 16 * 1024),
    maxHeaders: whole(10, 2000, 100),
    maxConnections: whole(1, 1_000_000, 10_000),
    headersTimeoutMs: milliseconds(1000, hourMs, 15_000, 'Until the head of a request has come.'),
    requestTimeoutMs: milliseconds(1000, hourMs, 60_000, 'Until a whole request has come.'),
    keepAliveMs: milliseconds(0, hourMs, 65_000, 'An idle connection is kept.'),
  }).prefault({}),
  sessions: section({
    idleMs: milliseconds(1000, 30 * dayMs, hourMs, 'Without a message, a session expires.'),
    absoluteMs: milliseconds(1000, 365 * dayMs, dayMs, 'A session expires, whatever it does.'),
    maxPerPrincipal: whole(1, 100_000, 1000),
    maxTotal: whole(1, 1_000_000, 10_000),
    keepAliveMs: milliseconds(100, hourMs, 15_000, 'Between two comments on an SSE stream.'),
    pingMs: milliseconds(100, hourMs, 30_000, 'Between two pings of a WebSocket, and until the pong.'),
  }).prefault({}),
  resumption: section({
    maxEvents: whole(0, 1_000_000, 1000).describe('Events kept for each session; 0 keeps none.'),
    maxBytes: whole(1024, 1024 * 1024 * 1024, 8 * 1024 * 1024).describe('Of the events of one session.'),
    maxTotalBytes: whole(1024, 64 * 1024 * 1024 * 1024, 128 * 1024 * 1024).describe('Of all sessions.'),
    maxAgeMs: milliseconds(1000, dayMs, 10 * 60_000, 'An event is kept.'),
    retryMs: milliseconds(10, 60_000, 1000, 'Clients are asked to wait before they resume a stream.'),
  }).prefault({}),
  retention: section({
    recordDays: z
      .int('must be a whole number from 1 to 36500')
      .min(1, 'must be a whole number from 1 to 36500')
      .max(36_500, 'must be a whole number from 1 to 36500')
      .optional()
      .describe('Whole days after which usage records are dropped; rollups and ledger stay. Absent: never.'),
  }).prefault({}),
  audit: section({
    days: z
      .int('must be a whole number from 1 to 36500')
      .min(1, 'must be a whole number from 1 to 36500')
      .max(36_500, 'must be a whole number from 1 to 36500')
      .optional()
      .describe('Days after which events of the audit log are dropped. Absent: never.'),
  }).prefault({}),
  calls: section({
    maxInFlight: whole(1, 1_000_000, 4096),
  }).prefault({}),
  breaker: section({
    failures: whole(1, 1_000_000, 5).describe('In a row, after which a server is left alone.'),
    pauseMs: milliseconds(10, hourMs, 1000, 'Until the first try; doubles with each that fails.'),
    maxPauseMs: milliseconds(10, hourMs, 30_000, 'Longest pause between two tries.'),
  }).prefault({}),
  webhooks: section({
    timeoutMs: milliseconds(100, hourMs, 15_000, 'A receiver may take to answer.'),
    retryMs: milliseconds(
      10,
      hourMs,
      5000,
      'Until the second attempt; four times as long for each further one.',
    ),
    giveUpMs: milliseconds(10, 30 * dayMs, 3 * dayMs, 'From the first attempt until a delivery is given up.'),
  }).prefault({}),
  shutdown: section({
    drainMs: milliseconds(0, hourMs, 20_000, 'Calls in flight may still finish.'),
  }).prefault({}),
  metrics: section({
    token: z
      .string()
      .min(16, 'must have at least 16 characters')
      .optional()
      .describe('Bearer token of /metrics.'),
  }).prefault({}),
})
