// The manifest of promises: attacks that must fail (A) and faults that must be survived (F), each with the tests that prove it.

export interface Requirement {
  /** `A` and a number for an attack, `F` for a fault. Source comments and tests use the same names. */
  readonly id: string
  readonly promise: string
  /** Test file, seen from the root → names of tests in it, as they are written there. */
  readonly provenBy: Readonly<Record<string, readonly string[]>>
  /** What no running test proves yet, and why; absent where the tests prove all of it. */
  readonly notProven?: string
}

type Tests = Requirement['provenBy']

const row = (id: string, promise: string, provenBy: Tests, notProven?: string): Requirement => ({
  id,
  promise,
  provenBy,
  ...(notProven !== undefined && { notProven }),
})
/** A promise without any test. */
const open = (id: string, promise: string, why: string): Requirement => row(id, promise, {}, why)

const oneNode = 'Only one node can run yet.'
const tokens = 'test/trust/tokens.test.ts'
const oauth = 'test/trust/oauth.test.ts'
const issuers = 'test/trust/issuers.test.ts'
const machines = 'test/trust/oauth-machines.test.ts'
const oauthGrants = 'test/oauth/grants.test.ts'
const oauthLogin = 'test/e2e/oauth-login.test.ts'
const oauthClient = 'src/oauth/client.test.ts'
const credentials = 'test/trust/credentials.test.ts'
const resumption = 'test/faults/resumption.test.ts'
const routes = 'test/trust/routes.test.ts'
const smuggling = 'test/trust/smuggling.test.ts'
const sessions = 'test/trust/sessions.test.ts'
const egress = 'test/trust/egress.test.ts'
const stdio = 'test/trust/stdio.test.ts'
const limits = 'test/trust/limits.test.ts'
const logs = 'test/trust/logs.test.ts'
const backup = 'test/faults/backup.test.ts'
const secretReferences = 'test/trust/secret-references.test.ts'
const upstreamOauth = 'test/trust/upstream-oauth.test.ts'
const definitions = 'test/trust/definitions.test.ts'
const audit = 'test/trust/audit.test.ts'
const payloads = 'test/trust/payloads.test.ts'
const consents = 'test/trust/upstream-consent.test.ts'
const browserLogin = 'test/trust/browser-login.test.ts'
const webConsole = 'test/console/console.test.ts'
const consoleViews = 'test/console/views.test.ts'
const realBrowser = 'test/browser/login.test.ts'
const loginElsewhere = 'test/trust/login-elsewhere.test.ts'
const definitionFlags = 'src/policy/definitions/flags.test.ts'
const heldDefinitions = 'src/policy/definitions/definitions.test.ts'
const accessRules = 'test/trust/access-rules.test.ts'
const rateLimits = 'test/trust/rate-limits.test.ts'
const sse = 'test/transports/sse.test.ts'
const webSocket = 'test/transports/web-socket.test.ts'
const sharedSession = 'test/bridges/shared-session.test.ts'
const sharedForReal = 'test/bridges/shared-session-real.test.ts'
const rounds = 'src/bridges/modern-over-legacy/rounds.test.ts'
const bridge = 'src/bridges/modern-over-legacy/bridge.test.ts'
const channel = 'src/transports/channel/channel.test.ts'
const channels = 'src/transports/channel/channels.test.ts'
const channelLimits = 'src/transports/channel/limits.test.ts'
const aggregateLists = 'test/bridges/aggregate-way.test.ts'
const abandoned = 'test/faults/abandoned.test.ts'
const floods = 'test/faults/floods.test.ts'
const lifecycles = 'test/faults/lifecycles.test.ts'
const sessionLimits = 'test/faults/session-limits.test.ts'

const callers: Requirement[] = [
  row(
    'A1',
    'A token without a signature, or signed with another algorithm or with our public key, is refused.',
    {
      [tokens]: [
        'made here with our own key is taken, so the forgeries below fail for what they change',
        'without a signature, or by an HMAC keyed with our public key, is refused',
      ],
      'test/identity/tokens.test.ts': [
        'an HMAC keyed with our public key, in any of its spellings, is refused',
        'no algorithm, another algorithm or another spelling is refused, signed or not',
      ],
    },
  ),
  row('A2', "Nothing in a token's header steers how it is verified, and no address in it is asked.", {
    [tokens]: ['that names its own key or an extension is refused, and no address in it is asked'],
    'test/identity/tokens.test.ts': [
      'headers that would steer the verifier are refused, even under our own signature',
    ],
  }),
  row('A3', 'A token for another audience, of another issuer, expired or not yet valid is refused.', {
    [tokens]: ['for another audience, of another issuer, expired or not yet valid is refused'],
    [issuers]: ['that is forged, old, bound, of another kind or for somebody else is refused, and 0 hits'],
    [machines]: [
      'is refused where it is forged, for others, too old, too long, or says less than it must',
      'is refused where it is for others, old, of another kind, or of an issuer that may not',
    ],
    [oauth]: [
      'works at the one endpoint that it is for, %s',
      'opens no route of the API, whatever its user may do there',
    ],
    'test/identity/tokens.test.ts': [
      'beyond the leeway of 60 s an expired or not yet valid token is refused',
    ],
  }),
  row('A4', 'No credential of a client reaches a server; the server gets exactly its configured one.', {
    [credentials]: ['do not reach %s, which gets exactly its configured credential'],
    [oauth]: ['is never passed on to the server'],
    'test/trust/identity-header.test.ts': [
      'each call carries the note of its own caller, whatever runs beside it, on every way',
      'it is no credential at the gateway itself',
    ],
    'test/upstreams/streamable-http.test.ts': ['carries exactly the configured credential: %j'],
  }),
  row('A5', 'A remembered credential stands for itself alone, and a revoked one is forgotten at once.', {
    [tokens]: [
      'that shares all but the signature or the subject with a remembered one is refused',
      'of %s fails at the next call, and its streams end',
    ],
    'test/identity/tokens.test.ts': [
      'the same header and claims with another signature miss the cache and are refused',
    ],
  }),
  row(
    'A6',
    'SQL in a credential, a login or a filter is plain text.',
    {
      [credentials]: [
        'is answered as a wrong credential is, and reads and changes nothing',
        'in a filter, a name or a cursor is plain text',
      ],
    },
    'sqlmap is not part of the tests.',
  ),
  row(
    'A7',
    'A key that is almost right is refused as slowly as one that is all wrong.',
    {
      [credentials]: ['a key with 31 right bytes is refused as slowly as one with none'],
      'test/identity/keys.test.ts': [
        'secrets are compared in constant time, with the same work for an unknown id',
      ],
    },
    'The medians over HTTP are held within 10 %, not 2 %: the rest is noise of a shared machine. The constant-time comparison itself is proven by structure.',
  ),
  row(
    'A8',
    'What is revoked fails at the next call, and its open streams end.',
    {
      [tokens]: ['of %s fails at the next call, and its streams end'],
      [oauth]: ['and its streams end at once when %s'],
      [machines]: ['ends with its streams when it is removed, and with its user'],
      'test/identity/authenticate.test.ts': [
        'a call after a revocation does not share a verification from before it',
      ],
      [webSocket]: ['ends within a second when its credential is revoked, and says why'],
      [sse]: ['comes within a second when the key is revoked'],
    },
    oneNode,
  ),
  row(
    'A9',
    'Guessing passwords is locked out, and tells nothing of which users exist.',
    {
      [tokens]: [
        'an unknown user and a wrong password get the same answer in the same time',
        'is locked out at the eleventh bad login in a minute, known or not, also with another forwarded address',
      ],
      'test/identity/logins.test.ts': ['guesses sent all at once are not counted less'],
      'src/identity/passwords.test.ts': ['verifying for nobody is false and takes as long as for somebody'],
    },
    'The fastest answers are held within a factor of two, which a missing password hash would exceed many times over; medians within 5 % drown in the noise of a shared machine.',
  ),
  row(
    'A10',
    'There is no default secret: a weak one keeps the gateway from starting, a missing one is made for its owner alone.',
    {
      [tokens]: [
        'that %s keeps the gateway from starting, and the message says what to do',
        'that nobody set is made at the first start, for its owner alone, and differs each time',
        'is no text of the package: tokens signed with any of them are refused',
      ],
      'src/base/secret-file.test.ts': ['is refused when others can read it, or when it is weak'],
    },
  ),
  row('A11', 'No spelling of a path and no override gets past authentication.', {
    [routes]: [
      'every route that is not public answers 401 and tells how to log in',
      'no spelling of a route, and no header that names another method or path, gets past that',
    ],
    'test/http/roles.test.ts': [
      'every route that needs a credential refuses who has none, before anything else',
    ],
  }),
  row(
    'A12',
    'Host and forwarded headers neither admit anybody nor change addresses that are shown or recorded.',
    {
      [routes]: ['no Host and no forwarded address makes a caller local or another'],
      'src/http/client-address.test.ts': [
        '%s is the client, whatever it says of itself',
        'is %s',
        'never depends on what is written left of the client, whatever it is',
      ],
      'test/trust/proxies.test.ts': [
        'is told apart by what the proxy says, not by what it says of itself, %s',
        'is locked out alone, and cannot escape by another address',
        'a proxy opens no metrics, though the gateway is on loopback',
      ],
    },
  ),
  row('A13', "The gateway's own header names mean nothing when they come from outside.", {
    [credentials]: ["that bear the gateway's internal names change nothing and go nowhere"],
  }),
  row('A14', "Somebody else's session is answered as one that does not exist, and gets no byte.", {
    [routes]: [
      'session is neither read, used nor ended, over either kind of session',
      'session of another server of the same owner is not found either',
    ],
    'src/sessions/sessions.test.ts': ['its token finds it for its user and its server only'],
    [sse]: ['of somebody else, without a stream, or of another endpoint finds nothing'],
    'test/transports/session-endpoints.test.ts': [
      'it is nobody else’s, and a session that has ended is nobody’s',
      'without a credential its endpoints are as silent as any',
    ],
    [resumption]: ['by nobody else and in no other session, and gives no byte of another stream'],
  }),
  row(
    'A15',
    'What belongs to somebody else is answered on every route as what does not exist, and is in no list, stream or sum.',
    {
      [routes]: [
        'things answer on every route as things that do not exist',
        'things are in none of the lists, streams and sums',
      ],
      'test/http/server-routes.test.ts': ['is hidden exactly as what does not exist, on every route'],
    },
    'PostgreSQL row-level security is not used.',
  ),
  row('A16', 'A route that needs a role refuses everybody else before anything happens.', {
    [routes]: ['is refused by every route that needs a role, before anything happens'],
    'test/http/roles.test.ts': ['%s answers by role', 'every route of these resources stands in the matrix'],
  }),
  row('A17', 'A body with a field that is not the route’s is refused by its name, and changes nothing.', {
    [routes]: ['sets no field that is not its own, in any body'],
    'src/http/openapi.test.ts': ['finds request bodies that would let unknown fields through'],
  }),
  row('A18', 'A tool that is hidden from a caller cannot be called by it.', {
    [accessRules]: [
      'lists what it may use and no more, with every number as it was',
      'is told that what it may not use is not there; nothing is sent and nothing billed',
      'cannot reach it by another method, nor by a key, a repeat or another spelling of the request',
      'plain /mcp and a bundle hide the same, and say the same of what never was',
      'the official clients see and call what they may',
    ],
    'src/policy/access-rules/access-rules.test.ts': [
      'the first rule that matches decides, as a naive reading says, and explain agrees',
    ],
  }),
]

const messages: Requirement[] = [
  row(
    'A19',
    'A message that two parsers would read differently is refused, or only its one reading reaches the server.',
    {
      [smuggling]: [
        'with %s is refused, not sent and not billed',
        'with %s is carried byte for byte, and nobody becomes more by it',
        'with members named like prototypes beside the known ones reaches the server with its one name',
        'nothing of these attempts is in what the server saw',
      ],
      'src/wire/envelope-scan.test.ts': ['finds the faults that a slow reading finds, and no other'],
    },
  ),
  row(
    'A20',
    'Mirrored headers must agree with the body; what disagrees is refused, not sent and not billed.',
    {
      [smuggling]: [
        'that %s are refused with -32020, not sent and not billed',
        'that lack %s are refused, not sent and not billed',
        'in base64 that agree are taken, and the bill follows the body',
        'that mirror an argument must agree with it',
      ],
      'src/eras/classify.test.ts': ['the name that is billed cannot differ from the name in the header'],
    },
    'A call that lacks every Mcp-Param header of its tool is left to the server, which knows whether it wants them; the bill never depends on them.',
  ),
  row(
    'A21',
    'A batch is refused, but in sessions of the one revision that has them; there each call is one.',
    {
      [smuggling]: [
        'a batch of the revision that knew batches is refused too',
        'with %s is refused, not sent and not billed',
      ],
      'src/transports/http-batch.test.ts': [
        'of 100 calls is 100 calls, and of 101 none',
        'with a call that is refused has its error at its place',
        'under one idempotency key, or for another revision',
      ],
      [rateLimits]: ['counts as each of its messages'],
      [webSocket]: ['batches work in their revision: one array, a record each'],
      [channelLimits]: ['a batch is answered by one array, in its revision only'],
      'src/wire/batch.test.ts': ['of more messages than allowed is refused, however many more'],
    },
  ),
  row('A22', 'A key makes no keys and no users, whoever owns it.', {
    [tokens]: ['a key makes no keys and no users, whoever owns it and whatever it asks for'],
    'test/http/identity-routes.test.ts': ['cannot manage keys or users, whoever owns them'],
  }),
  row('A23', 'Session ids are random, unique and visible ASCII.', {
    [sessions]: ['is unique, visible ASCII, and has well over 100 random bits'],
    'src/sessions/sessions.test.ts': ['tokens are unguessable and alike in nothing'],
    [sse]: [
      'begins with the endpoint on its own origin, under a token that nobody guesses, and is never kept',
    ],
  }),
  row('A24', 'A session is bound to the credential that opened it.', {
    [routes]: [
      'session is neither read, used nor ended, over either kind of session',
      "session is closed to its owner's other credentials once the one that opened it is gone",
    ],
    'src/sessions/sessions.test.ts': ['a revocation closes the sessions of that caller alone'],
    [sse]: ['comes within a second when the key is revoked'],
    [webSocket]: [
      'ends within a second when its credential is revoked, and says why',
      'ends when its credential expires',
    ],
    [channels]: ['when its credential is revoked, and only then', 'when its credential expires'],
  }),
  row('A25', 'The gateway picks the id of a session; one that a client sends is not taken.', {
    [sessions]: [
      'is picked by the gateway, whatever the client sends',
      "is not the server's own, which stays inside",
      'on a modern request is ignored, not sent on and not echoed',
    ],
    'test/upstreams/session-place.test.ts': [
      'sessions share one pool, and each has its own id; the credential stays where it was',
      'an id that is no plain text reaches no server',
    ],
    [sharedSession]: [
      "the session's own id and version go with every message, the tenant's never, and the id stays here",
    ],
  }),
  row('A26', 'Equal JSON-RPC ids of many clients never meet, and come back as they were sent.', {
    [sessions]: [
      'over one pooled server never meet in the %s era, and keep their type',
      'over processes of one server never meet',
      'in one session keep their type: 1 and "1" are two calls',
      'that a server answers with another type or id are not handed to anybody as an answer',
    ],
    'test/upstreams/stdio.test.ts': ['is answered to its caller, by id and type, in any order'],
    'test/upstreams/sse.test.ts': ['answers many calls at once, each to its caller, with its progress'],
    'test/upstreams/websocket.test.ts': [
      'is one text frame, its bytes unchanged, and its answer finds its caller',
    ],
    [sharedSession]: [
      'is answered to its own tenant under its own id, type and digits included, in any order',
    ],
    'test/bridges/shared-session-random.test.ts': [
      'two hundred clients that all count from 1 over one session never meet an answer of another',
    ],
    [sharedForReal]: ['use one session at once with the same ids and tokens, and each hears its own alone'],
    [bridge]: ['carries callers with the same ids, each to its own answer'],
    'test/bridges/modern-over-legacy.test.ts': [
      'carries two callers with the same ids and tokens, each with its own progress',
    ],
    'test/bridges/modern-connection.test.ts': [
      'equal ids and progress tokens are told apart, and given back as they were',
    ],
  }),
  row('A27', 'Equal progress tokens bring each caller its own progress.', {
    [sessions]: ['equal progress tokens of %s calls at once bring each caller its own progress'],
    [sharedSession]: [
      'hears its own progress alone, under its own token, though all tenants use the same one',
    ],
    [sharedForReal]: ['use one session at once with the same ids and tokens, and each hears its own alone'],
    [bridge]: ['brings progress to the caller whose it is, under its own token'],
    'test/bridges/modern-over-legacy.test.ts': [
      'carries two callers with the same ids and tokens, each with its own progress',
    ],
  }),
  row('A28', 'A question of the server goes to the caller of its call, and only that caller can answer it.', {
    [sessions]: [
      "is answered by the caller alone; another's answer with that id reaches neither the call nor its server session",
      'under one id in two sessions gets each its own answer',
      'in the modern era comes back on the answer itself, to the caller that asked',
    ],
    [rounds]: [
      'two calls may be asked at the same time, each on its own exchange',
      'a question that could belong to several calls is refused towards the server',
      'asks no caller for what it has not declared, and says so where the call fails for it',
    ],
    [sharedSession]: ['as a request is answered by the gateway: ping with a result, the rest with an error'],
  }),
  row(
    'A29',
    "Somebody else's task cannot be read, changed or cancelled.",
    {
      [sharedSession]: ['is found, listed, cancelled and heard of by its own tenant alone'],
      'test/trust/tasks.test.ts': [
        'is asked for, answered and cancelled by its own user, with any key and in any session',
        'is for everybody else as one that never was, reaches no server and costs nothing',
        'nobody listens to the task of somebody else',
        'whoever started a task first keeps it, also where the server gives its id again',
        'after kill -9 and a start a task is still of its user alone',
      ],
    },
    "What a legacy server's own tasks/list shows within a session that nobody shares is not filtered.",
  ),
  row(
    'A30',
    'An answer for one caller is never served to another from a cache.',
    {
      [aggregateLists]: [
        'shows the last good list of a member that is down, to the same caller and under the view of now',
        'that its server calls public is shown to others while that is down, until it stops to be',
        'is remembered within the memory’s bytes, and forgotten with its server',
      ],
    },
    "Nothing else of servers is kept for clients; the tool catalogue is read with the server's own credential and steers headers and bills alone.",
  ),
  row('A31', 'A request state cannot be forged or replayed.', {
    [rounds]: [
      'refuses a requestState that is not for this request, and sends nothing',
      'continues a parked call for one retry only',
      'cancels a parked call at the server when nobody comes back, and frees it',
      'lets no more calls wait than it may: the server is told, and the call goes on',
    ],
    'test/bridges/modern-over-legacy.test.ts': [
      'keeps a parked call for its own caller and its own request alone',
    ],
    [aggregateLists]: ['that is asked for input passes with its state untouched, both ways'],
  }),
  row(
    'A32',
    'Callers with credentials of their own at a server never share a connection there.',
    {
      [consents]: [
        'a thousand calls of two users at once never carry the other one’s token',
        'such a server cannot be shared between users, nor be open to everybody',
        'a token exchange gives each caller a token of their own for the gateway’s word',
      ],
    },
    'Sessions and tokens are never shared; over HTTP the connections below them are, and each request carries its own token.',
  ),
  row('A33', "Nobody cancels somebody else's call.", {
    [sessions]: ["is not cancelled by another's cancellation"],
    'src/sessions/call.test.ts': ['may not cancel the call of another session with the same id'],
    [sharedSession]: ['can be cancelled by its own tenant alone, and what was cancelled is not answered'],
    [bridge]: ['passes unknown methods and notifications on, and drops those that name another caller’s id'],
  }),
]

const reach: Requirement[] = [
  row(
    'A34',
    'A server cannot be registered at an inner address in any spelling; metadata addresses not even by setting.',
    {
      [egress]: [
        '%s cannot be registered',
        'cannot be reached by changing one that is outside',
        '%s stays denied where only loopback is allowed',
        '%s stays denied even where everything is allowed',
        'is taken where it is allowed, so the refusals above are those of the list',
      ],
      'src/upstreams/egress.test.ts': ['with host %s is refused by an empty allow list'],
    },
  ),
  row(
    'A35',
    'A name is resolved and vetted at each connection, and the vetted address is the one connected to.',
    {
      [egress]: [
        'that was outside when it was registered and is inside when it is called gets no byte',
        'that resolves to %s is not connected to',
      ],
      'src/upstreams/egress.test.ts': ['goes to the vetted address and resolves once'],
    },
  ),
  row('A36', 'A redirect is never followed, and takes no credential anywhere.', {
    [egress]: ['to %s is not followed, and the credential goes nowhere'],
  }),
  row('A37', 'No address in OAuth metadata leads inside.', {
    [oauth]: ['is not fetched from inside, in no spelling', 'is not fetched without end for one address'],
    [issuers]: ['the keys of an issuer are not fetched from inside, unless the operator allows it'],
    [consents]: ['%s at an inner address is not asked'],
    [upstreamOauth]: [
      'the %s of a metadata document cannot lead to one that is not allowed',
      '%s is not taken where it is plain http to elsewhere',
      'a redirect is not followed',
      'an authorization server that calls itself by another name is not believed',
    ],
    'test/upstreams/vetted-get.test.ts': [
      'refuses %s',
      'asks no address that is not allowed, by number or by name',
    ],
  }),
  row('A38', 'No event or upgrade of a server leads elsewhere than to its registered origin.', {
    [egress]: [
      'leads to no other origin, not even to an allowed one, and the credential goes nowhere',
      'and a WebSocket lead to no inner address: none can be registered',
    ],
    'test/upstreams/sse.test.ts': [
      'that is %s is refused, and nothing is sent anywhere',
      'that comes again changes nothing',
      'is never redirected',
    ],
    'test/upstreams/websocket.test.ts': [
      'is only with addresses that are allowed, as written and as resolved',
      'answered with %s fails what waits as not sent',
    ],
  }),
  row('A39', 'A URL that two readers could read differently is refused.', {
    [egress]: ['the URL %j is refused'],
    'src/upstreams/egress.test.ts': ['%j is refused for its form'],
  }),
  row(
    'A40',
    'A command runs only if an administrator registers it and the list allows it, and its arguments are literal.',
    {
      [stdio]: [
        'is refused for members and operators, and for everybody where nothing is allowed',
        'that is not on the list, such as %j, is refused',
        'gets its arguments literally: no shell reads them',
      ],
      'test/upstreams/stdio-child.test.ts': [
        'gets its arguments literally, whatever a shell would do with them',
      ],
    },
  ),
  row(
    'A41',
    'A child gets the variables of its registration and four of ours; none may change what programs load.',
    {
      [stdio]: [
        'with the variable %j is refused',
        "sees no variable of the gateway's but where programs, home and temporary files are",
      ],
      'test/upstreams/stdio-child.test.ts': [
        'gets the minimal environment and its own variables, nothing of the gateway',
      ],
    },
  ),
  row('A42', 'A child that floods is killed, takes its own children with it, and leaves nothing behind.', {
    [stdio]: [
      'that writes 200 MB without a line end is killed at its cap; the call is answered, and memory stays flat',
      'takes what it started with it, at the end of its session, when it floods, and when it is killed',
      'and what it started end with the gateway on %s',
      'leaves no zombie, no process and no open file after a thousand starts',
    ],
    [abandoned]: [
      '${count} stdio sessions opened over every client transport and abandoned leave no process and no descriptor',
    ],
    [floods]: [
      'is bounded in memory where its %s client reads nothing',
      'keeps no more than the newest few of its notices',
    ],
    'test/upstreams/stdio-child.test.ts': [
      'dies though the child is stopped',
      'takes along what made groups of its own, at a %s',
      'is killed where it takes more memory, and its caller is told; another of its kind is not',
      'is killed with all that it started where that is more than it may start, also in groups of their own',
    ],
  }),
  row('A43', 'A consent counts for one client alone.', {
    [realBrowser]: [
      'goes from the login by password to the client, over redirects of its own',
      'goes over another issuer and back, though that is another site',
    ],
    [loginElsewhere]: ['needs a page that was opened here, and an issuer that is known'],
    [oauth]: [
      'names the client, what it wants, and where the answer goes, on a page that nobody can frame',
      'counts in the browser in which it was asked for, so that nobody consents for another',
      'counts once, and cannot be changed, nor given without a login',
      'that is not given brings no code',
      'is not taken from a form of another site',
    ],
    [oauthGrants]: ['a consent counts once'],
  }),
  row('A44', 'State, PKCE, issuer and redirect of an authorization are checked.', {
    [loginElsewhere]: [
      'counts in the browser that asked, once, and not as a login for a cookie',
      'is not asked of who comes back from a login for a cookie',
      'is given by a user of the issuer, and by no other',
    ],
    [browserLogin]: [
      'an answer %s logs nobody in',
      'an ID token %s logs nobody in',
      'counts once, and leads to no other site',
    ],
    [consents]: [
      'is of no use to anybody else, nor in another browser, nor twice',
      'asks with PKCE, for this very server, as a client that the gateway registered once',
    ],
    [oauth]: [
      'with %s is told to the user and redirects nowhere',
      'with %s goes back to the client, with state and issuer',
      'that names a parameter twice is refused',
      'may come back to any port of loopback, and every answer names its issuer',
      'is worth nothing without its proof, to another client, or for another endpoint',
      'that comes twice ends the tokens of the first',
    ],
    [oauthGrants]: [
      'a code %s brings nothing, and is not used up',
      'a code that comes twice ends what it brought, also when both come at once',
      'a refresh token works once; a second use ends the whole family and tells who listens',
    ],
    [oauthClient]: [
      'is compared character by character',
      'of a loopback address may have any port, and nothing else that differs',
    ],
    [oauthLogin]: [
      'logs in unaided and calls a tool, as the user who consented',
      'an official client that may only read asks for more when a call needs it, and then calls',
    ],
  }),
  row('A45', 'An authorization address of a server is opened only if it is one of the web.', {
    [consents]: [
      'an authorization endpoint %s is opened by nobody',
      'brings no token where the answer is another server’s, a refusal, or was made up',
    ],
  }),
  row(
    'A46',
    'Credentials are sealed where they are stored and shown by no route.',
    {
      [credentials]: [
        'are nowhere in the data folder or the log, in any coding',
        'are shown by no route, only that they are there and their last four characters',
      ],
      [secretReferences]: [
        'is shown as the reference that it is, and stands nowhere in the data folder, the log or an answer',
      ],
      [backup]: ['has no secret and no key in its bytes, and the key only where it is asked for'],
      [payloads]: [
        'nothing is kept unless the server says so, and nothing from when it says so no more',
        'a call is kept as it was asked and answered, in both eras: results, tool errors, errors, and no answer',
        'auditors alone read it, each time on record; who calls may know that it is kept, not how it is masked',
        'it is sealed on the disk, outlives a restart and a new master key, and is deleted when that is asked for',
      ],
      'src/payloads/masking.test.ts': [
        'of any JSON no planted secret stays, the size is kept to, and the rest is unchanged',
      ],
      'src/base/keyring.test.ts': [
        'does not open elsewhere, with another key, or after any one character changed',
      ],
      'test/faults/rotation.test.ts': [
        'rotated under load: every call is answered and billed, credentials and webhooks go on, no old text is left',
        'killed in the middle of a rotation, again and again, it starts with everything it had',
      ],
      'test/contracts/secrets.test.ts': [
        'a text that changes while it is sealed anew keeps its change',
        'wherever a rotation is cut off, the next start reads everything, and the next rotation ends (on disk: %s)',
      ],
    },
    'There is no heap snapshot route.',
  ),
  row('A47', 'A registration cannot refer to other secrets.', {
    [stdio]: ['or a credential with the reference %s is refused'],
    [secretReferences]: [
      '%s is refused in every field',
      'and a good reference is refused where no secret belongs, or with a prefix outside of headers',
      'a secret that is for other servers looks like one that does not exist, and a rename is checked too',
      'that the configuration takes back puts its server, and no other, into error at the next start',
      'with a line end in it becomes no header of its own',
      'whose command fails fails its own calls alone, unbilled, and says nothing of what the command wrote',
    ],
    'src/references/named-secrets.test.ts': [
      'is for the servers that it is named for; for others it does not exist',
      'is run without a shell, and sees nothing of our environment but what children may',
    ],
  }),
  row('A48', 'No value becomes a header of its own.', {
    [smuggling]: [
      'in a registered header or credential are refused',
      'in registered user names, passwords and query keys are encoded',
      "in a client's headers never become a header at the server",
      'that mirror an argument must agree with it',
    ],
    'src/wire/headers.test.ts': ['comes back as it was, whatever it is, and is safe to send'],
  }),
  row('A49', "Of a client's headers only those of MCP reach a server.", {
    [credentials]: ['of its connection, its cookies and its proxies stay outside'],
    'src/transports/streamable-http.test.ts': [
      'reaches the server as the bytes that came, with MCP headers and no others',
    ],
  }),
  row('A50', 'A request that two parsers would end in two places is refused and its connection closed.', {
    [smuggling]: [
      'by %s is refused and closed, and what follows is never run',
      'and nothing is run behind a refusal that did not wait for its body: %s',
      'and a request without a host, or with two, is refused',
    ],
  }),
  row(
    'A51',
    "A server's text never becomes an event of its own at the client.",
    {
      [sse]: ['whose answer has lines of its own is one event, with nothing of the server outside of it'],
      'src/wire/sse-frame.test.ts': [
        'writes what the parser reads back, for any data',
        'lets no value write fields of its own',
        'discards an event that never ends and says that it was cut off',
      ],
      'src/transports/streamable-http.test.ts': [
        'streams its events as the server wrote them, the answer last',
      ],
    },
    'Over Streamable HTTP the event of an HTTP server is passed on as its bytes; that hostile ids of events reach a client whole is shown by the framing alone, not with a client.',
  ),
  row('A52', 'A web page of another origin cannot call, and a name that was rebound is not served.', {
    'src/http/mcp.test.ts': ['a foreign Origin is 403 and a foreign Host 421, with no Access-Control header'],
    [webSocket]: ['of a foreign page is refused before anything is asked, whatever it carries'],
  }),
]

const content: Requirement[] = [
  row('A53', 'Descriptions that would steer a model are flagged, and held back where the operator says so.', {
    [definitions]: [
      'what a tool hides or says to the model is flagged, with escapes; no reference in it is fetched',
      'what is flagged is held back where the registration says so',
    ],
    [definitionFlags]: [
      '%s is flagged',
      'honest definitions have no flags',
      'a flag is found whatever else is flagged before it',
    ],
  }),
  row('A54', 'A tool that changes after it was approved is held back.', {
    [definitions]: [
      'a tool that changes after it was approved is held back until the change is approved as shown',
      'where all is to be approved, nothing is shown or called before; the CLI shows, approves and withdraws',
      'what was approved and what is held back outlives a restart',
    ],
    [heldDefinitions]: [
      'what changes after it was seen is held back until exactly that is approved',
      'a withdrawn approval holds a tool back whatever it looks like',
      'of two tools by one name neither is shown where one is held back',
      'what a server lists cannot make the memory of it grow without end',
    ],
  }),
  row(
    'A55',
    'Tools of equal or confusable names are told apart.',
    {
      [definitions]: [
        'what a tool hides or says to the model is flagged, with escapes; no reference in it is fetched',
      ],
      [definitionFlags]: [
        'a name that looks like another one is flagged on both sides; one of other case is not',
        'speaking of the tools of another server is flagged',
      ],
      'src/bridges/aggregate/names.test.ts': [
        'what is listed can be called and is exactly that; no two things have one name',
      ],
    },
    'Names of tools are compared within a server; over servers they are told apart by the prefix, which is ASCII.',
  ),
  row('A56', 'A hostile schema costs nothing.', {
    [definitions]: [
      'what a tool hides or says to the model is flagged, with escapes; no reference in it is fetched',
      'a schema that leads elsewhere or never ends is left out, and the list comes at once',
    ],
    [definitionFlags]: ['whatever a server lists, flags are few, print, and take little time'],
  }),
  row(
    'A57',
    'No pattern of a user takes more than linear time.',
    {
      'src/base/glob.test.ts': ['matching %s takes time in proportion to the text'],
      'src/policy/access-rules/argument-check.test.ts': ['a pattern takes linear time', '%o is refused'],
    },
    'URI templates are compared as text and never evaluated.',
  ),
  row('A58', 'A body over the limit is refused early, announced or not, and memory stays flat.', {
    [limits]: [
      'one byte over the limit is refused before it is sent, where its length is announced',
      'one byte over the limit is refused where its length is not announced',
      'of a gigabyte is cut off early, and memory stays flat',
      'from a client that sends all of it before it reads is refused with a whole answer, every time',
      'of a gigabyte without a credential is not read into memory at all',
      'a body of exactly the limit is taken',
    ],
    'src/http/lingering-close.test.ts': [
      'gets the whole answer, every time: %s',
      'is cut off in time, and little of what it sends is read',
    ],
  }),
  row('A59', 'Nothing compressed is ever unpacked.', {
    [smuggling]: ['whose headers name another content type or coding is refused'],
    'test/upstreams/streamable-http.test.ts': ['that is compressed is a failure, never decoded'],
    'test/upstreams/websocket.test.ts': ['answered with %s fails what waits as not sent'],
    [floods]: ['a WebSocket client that offers compression is not given it'],
  }),
  row('A60', 'A slow client holds nobody else up.', {
    'src/http/mcp.test.ts': ['a head that never ends is cut'],
    [sse]: ['a client that reads nothing holds nobody else up, and leaves nothing behind'],
    [webSocket]: ['that reads nothing is cut off, and nobody else waits'],
    [floods]: ['is bounded in memory where its %s client reads nothing'],
    [channelLimits]: [
      'slows its server down, until it has caught up',
      'and lets too much wait is cut off, and its calls with it',
    ],
    [sharedSession]: ['does not hold up the others; what it has not read waits, and comes in order'],
    'test/trust/slow-connections.test.ts': [
      'a thousand connections that trickle are cut, and %s callers do not notice them',
    ],
  }),
  row('A61', 'Sessions are bounded by caller and in all, and idle ones end.', {
    'src/sessions/sessions.test.ts': [
      'a caller has at most its share, and gets it back',
      'all callers together have at most the total',
      'an idle session expires, one with a call in flight does not, and none outlives its absolute limit',
    ],
    [channels]: ['are capped for each user and in all, and an ended one makes room'],
    [sessionLimits]: [
      'over its share, or over what all may have, is refused as too many, and an ended session makes room',
      'that says nothing for the idle time loses its session, one that speaks keeps it, none outlives the absolute limit',
    ],
    'src/bridges/conversations.test.ts': [
      'closes what was idle for too long, and nothing that is in use or was just used',
      'refuses a new one while all are in use',
    ],
    [abandoned]: ['a %s client that vanishes frees its sessions, children and connections at every server'],
    [lifecycles]: ['${count} lives of sessions, over all transports and eras: memory and handles are flat'],
  }),
  row(
    'A62',
    'Events for a client that is away are bounded, and a gap is told.',
    {
      [resumption]: [
        '${flood} events to a client that is away: ${maxEvents} are kept, and who comes back too late is told',
        'that has more to say than is kept tells its client so',
        'by nobody else and in no other session, and gives no byte of another stream',
      ],
      'src/sessions/kept-streams.test.ts': [
        '%s: the oldest gives way, and who has not read it is told',
        'by age',
        'fairly: a session that says much takes nothing from another',
      ],
    },
    'Where a server over Streamable HTTP keeps events itself, their bound is its own affair.',
  ),
  row('A63', 'JSON of a hostile shape is refused or carried unchanged, and makes nobody more.', {
    [smuggling]: [
      'with %s is refused, not sent and not billed',
      'in broken or foreign UTF-8 is refused, not sent and not billed',
      'with %s is carried byte for byte, and nobody becomes more by it',
      'a body with members twice is refused by the API as well, or read once',
    ],
    'src/wire/parse.test.ts': ['with __proto__ changes no object'],
  }),
  row(
    'A64',
    'Credit for 10 calls lets exactly 10 of 500 parallel calls run, and nothing makes it a fresh credit.',
    {
      [logs]: ['lets exactly 10 of 500 parallel calls run, over keys, sessions and both eras'],
      [rateLimits]: [
        'of 500 parallel calls of %s clients exactly as many run as may come',
        'of 500 parallel calls exactly as many run at once as may, and the others come later',
        'another key, session, spelling or transport is no new bucket',
        'bytes of %s clients are counted as they come, and used up for what comes next',
        '%s streams are as many at once as may be open, and one that ends makes room',
      ],
      'src/policy/limits/limits.test.ts': [
        'lets pass over any time what its rate and its burst are worth, and one call more',
        'admits exactly what a leaking bucket admits',
        'names without end take no memory without end, and are no way around a limit',
      ],
    },
    oneNode,
  ),
  row('A65', 'Nothing that a caller or a server says of usage, price or time changes what is billed.', {
    [limits]: [
      'pays the rule all the same in the %s era',
      'or a server that does, changes neither the price nor what the caller is told',
      'under one key again is charged once in the %s era',
      'cannot put amounts into rules, grants or quotes that are no amounts',
      'has no route to write usage, and leaves books that balance',
    ],
  }),
  row(
    'A66',
    'No secret is in a log, a metric or an error, and no text forges a line of the log.',
    {
      [logs]: [
        'that comes in any part of a request, and a name that forges a log line, stay out of logs, metrics and errors',
      ],
      'src/http/metrics.test.ts': ['escapes label values, so that one cannot add a line'],
    },
    'Traces are not built.',
  ),
  row('A67', 'An error tells nothing of the inside.', {
    [logs]: [
      'of a server that %s tells its caller nothing of the inside',
      'of a server that is not there tells its users neither where it should be nor why',
      'of what the client sent wrong repeats nothing of the inside',
      'of bytes that are no HTTP is short and says nothing',
      'of a store that cannot be written says so and no more, nothing is billed, and it heals',
    ],
    'src/http/api/api.test.ts': ['500 shows nothing of what happened'],
  }),
  row('A68', 'Text of a server never becomes code in the console.', {
    [webConsole]: ['registers a server, sees its tools with their prices, and tests it'],
    [consoleViews]: ['come with a policy that lets nothing else in, and only by their own names'],
    [realBrowser]: ['goes from the login by password to the client, over redirects of its own'],
  }),
  row('A69', 'No page of another site acts for a user or frames the console.', {
    [realBrowser]: [
      'does nothing for a page of another site, by form, script or image',
      'no page of the gateway is shown in a frame of another site',
    ],
    [browserLogin]: [
      'does not carry a change %s',
      'does not carry a form of another site, nor a change without any origin',
      'another site cannot log its visitors in, and guessing is locked out as it is elsewhere',
      'is no credential anywhere else: not as a token, not at an MCP endpoint, not for a refresh',
    ],
    'src/http/api/api.test.ts': ['is answered with the documented status, its headers, and a request id'],
  }),
  row('A70', 'No path leads out of a folder.', {
    [consoleViews]: ['come with a policy that lets nothing else in, and only by their own names'],
  }),
  row('A71', 'Metrics are not for everybody, and have a bounded number of series.', {
    'src/http/metrics.test.ts': [
      'with a token refuses everything else',
      'without a token is open on loopback only',
      'keeps a label to a bounded set of values; the rest share _other',
    ],
    'test/trust/listeners.test.ts': [
      'no route of administration can be told from one that does not exist, by any method',
      'no spelling of such a route reaches it',
    ],
  }),
  row('A72', 'A webhook goes to no inner address and can be verified.', {
    'test/faults/webhooks.test.ts': [
      'an inner address is refused unless the operator allows it, also by a redirect',
      'a name is resolved and checked at each attempt',
      'refuses for too long gets its events by hand',
    ],
    'test/e2e/webhooks.test.ts': [
      'the receiver of the document takes genuine messages once, and no altered, old or unsigned one',
    ],
    'src/outbox/signature.test.ts': ['the published example has the published signature'],
  }),
  row('A73', 'The audit log cannot be changed unseen.', {
    [audit]: [
      'whatever is changed, removed, put in, moved or cut off is named by the gateway and offline',
      'after kill -9 in the middle of changes the chain is whole, and every answered change is in it once',
    ],
    'test/contracts/audit-log.test.ts': [
      'a chain that was made anew to its end does not agree with what was signed',
      'a mark cannot stand for another, nor be moved',
      'a tail that was cut off is found, and stays found when the log goes on',
      'a log that was set back while the gateway runs is found by it',
      'rows outside the chain are found',
    ],
  }),
  row(
    'A74',
    'The package is what its sources are.',
    {
      'test/supply-chain.test.ts': [
        'runs no script: neither ours nor that of any package that it brings',
        'gets the very bytes that were tested, and no more packages than we have looked at',
        'names every package of the lock file, and none besides',
        'the package has sources, documents and its command, and nothing of ours or of the tests',
      ],
    },
    'Known vulnerabilities are not asked for in CI, which has no network of its own; there is no provenance before the first release.',
  ),
]

const kill = 'test/faults/kill.test.ts'
const shutdown = 'test/faults/shutdown.test.ts'
const breaks = 'test/faults/upstream-faults.test.ts'
const lies = 'test/faults/upstream-lies.test.ts'
const disk = 'test/faults/disk.test.ts'

const faults: Requirement[] = [
  row(
    'F1',
    'After kill -9 under load every answered call is in the ledger once, and nothing else is.',
    {
      [kill]: [
        'killed ${rounds} times under load: answered ⊆ ledger ⊆ executed, nothing twice, every cost right',
      ],
    },
    'The clients of that load are of Streamable HTTP alone.',
  ),
  row(
    'F2',
    'After kill -9 at any write of the store it opens again with everything that was answered.',
    {
      'test/faults/store-crash.test.ts': [
        'killed at any write, before, during or after it: it opens again, and answered ⊆ ledger',
      ],
    },
    'The time to be ready with a million records is not measured.',
  ),
  row('F3', 'The record of a call is on disk before its answer leaves.', {
    'test/faults/answer-order.test.ts': [
      'every answer follows an fdatasync of the write-ahead log that holds its record',
    ],
  }),
  row(
    'F4',
    'SIGTERM drains: readiness fails first, what is in flight ends, streams end whole, exit 0.',
    {
      [shutdown]: [
        'SIGTERM with traffic: readiness falls first, calls in flight finish, new work is refused, streams end whole',
      ],
    },
    `${oneNode} So no restart behind a balancer is tested.`,
  ),
  row('F5', 'SIGTERM with servers that hang is bounded, and every caller is answered.', {
    [shutdown]: [
      'SIGTERM with servers that hang: every caller is answered with its own id, the exit is bounded, no child is left',
    ],
    'test/transports/session-endpoints.test.ts': [
      'a gateway that stops says goodbye to every connection, and waits for none',
    ],
  }),
  row(
    'F6',
    'A server that hangs costs a timeout and nothing else.',
    {
      [breaks]: [
        '100 calls that hang time out with their own ids, the server is told, nothing is billed, the sockets are back',
      ],
      'test/upstreams/sse.test.ts': ['%s fails what waits as not sent'],
      'test/upstreams/websocket.test.ts': ['that is never answered ends in time, as does one with nobody'],
      'test/bridges/modern-over-legacy.test.ts': [
        'that hangs while it is opened is closed with its conversation',
      ],
      [aggregateLists]: [
        'does not wait for a member that hangs beyond the deadline, and says that it is missing',
      ],
    },
    'The hundred calls go to a server over Streamable HTTP; over the others hanging is tested of connections, and of a child that stops (F12).',
  ),
  row(
    'F7',
    'A server that trickles is cut at the total time.',
    {
      'test/faults/trickle.test.ts': [
        'a call to %s is answered at its total time, though the server never falls silent',
      ],
    },
    'There is no idle limit within a call, so there is none for progress to put off.',
  ),
  row(
    'F8',
    'A broken connection is a prompt error, and no call runs twice.',
    {
      [breaks]: ['a connection %s is a prompt error, and no call runs twice'],
      'test/upstreams/sse.test.ts': [
        'that breaks off fails every call as sent, the listener, and later ones at once',
        'that is refused fails alone, and is not sent again',
      ],
      'test/upstreams/websocket.test.ts': [
        'that %s fails every call as sent, and later ones at once',
        'whose other end vanished without a word is found out by a ping',
      ],
      'src/bridges/modern-over-legacy/session.test.ts': [
        'that is gone fails what was sent, and is opened again for the next call',
      ],
      [sharedSession]: [
        'fails what was in flight as sent; the next request opens it once, with subscriptions and level',
      ],
      'test/transports/connect.test.ts': [
        'the client stays: its handshake is repeated unseen, its waiting calls run once, its lost ones are told',
      ],
    },
    'Resets come from the server itself, not from a thousand drops in the network.',
  ),
  row(
    'F9',
    'A server that is down is given up quickly and holds no other up.',
    {
      'src/sessions/breakers.test.ts': [
        'at the limit every call is held off, to this server alone',
        'after the pause one call goes, and the others wait for what becomes of it',
      ],
      'src/sessions/relay.test.ts': [
        'is left alone after five failures in a row; calls to it are answered at once, recorded and free',
        'is tried by one call after the pause, and serves all again when that is answered',
      ],
      [aggregateLists]: ['names whoever is down without telling why in the server’s words'],
    },
    'That calls to other servers take no longer meanwhile is not measured.',
  ),
  row('F10', 'A server that lies costs its caller one error, and nobody else anything.', {
    [lies]: [
      'costs a %s caller one error, and nobody else anything',
      'a second answer to the same call is not passed on (%s)',
      'an answer with the id of another call in flight reaches neither of them',
      'an answer after the cancellation is heard by nobody (%s)',
    ],
  }),
  row(
    'F11',
    'A storm of change notices is coalesced.',
    {
      'test/bridges/aggregate-listen.test.ts': [
        'of several members within a moment are told once for each kind',
        'that never cease are told all the same',
      ],
      [sharedSession]: [
        'that does not read its stream gets each kind of news once, and too many others end the stream',
      ],
      'src/bridges/modern-over-legacy/listeners.test.ts': [
        'keeps one of each change for a listener that does not read',
      ],
    },
    'To a client with a session of its own at one server they pass as they come, held back only by what it reads (A60). No minute of a thousand a second is run.',
  ),
  row(
    'F12',
    'A child that dies or stops fails its own calls alone.',
    {
      'test/faults/child.test.ts': [
        'children killed under calls: every caller has an error with its id, one restart each, nothing left over',
        'a child that ends itself in a call ran it once; the caller hears of it at once',
        'a stopped child times out its own calls alone, and ends with its session',
        'a flood on standard error holds nobody up and is not kept',
      ],
      'test/upstreams/pool.test.ts': ['that dies at once is started again only after growing pauses'],
      [sharedForReal]: [
        'a child that dies fails the calls of all its tenants, and the next call starts it once more',
      ],
      'test/bridges/modern-over-legacy.test.ts': [
        'whose process is killed fails its calls, and a new one serves the next',
      ],
    },
    'A child that has stopped is not replaced while its session lives: there is no check of its health.',
  ),
  row(
    'F13',
    'A client that goes away is cancelled or billed by the written rule, and nothing is held back.',
    {
      'test/faults/client-gone.test.ts': [
        '${aborts} modern callers that vanish: the server is told, each record says so, nothing is held back',
        'legacy callers that vanish do not cancel: the call ends as it ends, and is billed for it',
        'a rule that bills cancelled calls bills those that vanish',
      ],
      [abandoned]: ['a %s client that vanishes frees its sessions, children and connections at every server'],
      [sse]: ['frees the session and the server; a call in flight runs on and is billed'],
      [webSocket]: [
        'a call ends with its notification, or with the connection, and the server sees it',
        'that vanishes frees its session, its sockets and its child',
      ],
      [channel]: ['a call whose client has gone runs on and is billed; then its session ends'],
    },
  ),
  row(
    'F14',
    'A legacy stream that drops is resumed without gap or repeat.',
    {
      [resumption]: [
        'each of ${streams} streams dropped ${drops} times: every event once and in order, every call billed once',
        'across a restart by %s the session goes on, and each stream says all that there is to say, once',
        'an answer that nobody has heard waits for its client, also across a kill, and is billed once',
        'dropped again and again says everything once and in order, and its client never speaks of a gap',
        'that nobody reads at the moment of a kill goes on after it, without a repeat',
        'by the newest of several connections alone',
      ],
      'test/e2e/resumption.test.ts': [
        'whose connections break again and again misses nothing, hears nothing twice, and pays once',
        'that is started again goes on with the token that it has kept',
      ],
    },
    'Another node does not take sessions over.',
  ),
  row('F15', 'A resumption that comes too late is told.', {
    [resumption]: [
      'that has more to say than is kept tells its client so',
      '${flood} events to a client that is away: ${maxEvents} are kept, and who comes back too late is told',
    ],
    'src/sessions/kept-streams.test.ts': [
      'a gap from before is still one, and an id that was given out is never given again',
    ],
  }),
  open(
    'F16',
    'A modern call that is sent again under its key runs once, also after a drop.',
    'Repeats are proven (F17); drops in the middle of a call with a key are not tested.',
  ),
  row('F17', 'The same key many times at once is one execution and one charge.', {
    'test/faults/repeats.test.ts': [
      'the same key 50 times at once: one execution, one charge, 50 equal answers (%s)',
      'two requests with one key, 25 times each at once: one of them runs, the other conflicts',
    ],
  }),
  row(
    'F18',
    'Readers that stop cost a bounded buffer.',
    {
      [floods]: ['is bounded in memory where its %s client reads nothing'],
      [sse]: ['a client that reads nothing holds nobody else up, and leaves nothing behind'],
      [webSocket]: ['that reads nothing is cut off, and nobody else waits'],
      [channels]: ['when it does not answer, or does not read what waits for it'],
      'src/transports/http-reply.test.ts': ['pauses its server, and lets it go on'],
    },
    'One at a time: a hundred of them among 5,000 that read, and what those wait, is not run.',
  ),
  row('F19', 'A full disk: calls are refused before they are sent, reads go on, and it heals.', {
    [disk]: [
      'a full disk: calls are refused before they are sent, reads go on, and it heals within 5 s of space',
    ],
  }),
  row('F20', 'An fsync that fails is never taken for durable.', {
    [disk]: [
      'an fsync that fails once: the callers behind it get an error, and the gateway heals by itself',
      'a disk that never syncs again: no answer, readiness down, nothing sent, and a restart opens clean',
    ],
  }),
  row(
    'F21',
    'A damaged database is refused and never replaced.',
    {
      'test/faults/damage.test.ts': [
        'damaged in ${samples} ways is refused and untouched, found by verify, or has the right sums',
        'without damage opens with everything in it, stopped or killed',
        'a database that was %s: the gateway exits with 1 and the restore sentence, and makes no new one',
      ],
    },
    'A write-ahead log that was cut off, or damaged in its last transaction, looks like a power loss: its end is dropped.',
  ),
  row(
    'F22',
    'PostgreSQL that is killed, restarted or paused loses and doubles nothing.',
    {
      'test/contracts/database.test.ts': [
        'that goes away refuses as unavailable, and is used again when it is back',
        'a connection cut in the middle of a transaction leaves nothing and refuses as unavailable',
      ],
    },
    'The gateway itself is not put under load while its PostgreSQL fails.',
  ),
  row(
    'F23',
    'A store that is busy refuses more than may wait.',
    { 'test/contracts/database.test.ts': ['refuses more requests than may wait'] },
    'Not measured under load.',
  ),
  open('F24', 'A dead or slow Redis costs no latency.', 'Redis is not used.'),
  open('F25', 'A flushed Redis costs no money and no session.', 'Redis is not used.'),
  open('F26', 'A message bus that is down loses no event.', 'No message bus is used.'),
  open('F27', 'When one of several nodes dies the others take over.', oneNode),
  open('F28', 'Nodes that cannot see each other do not spend twice.', oneNode),
  open('F29', 'A bad network makes answers late, never wrong.', 'Not tested yet.'),
  row(
    'F30',
    'A clock that jumps breaks neither timers nor periods.',
    { 'src/identity/lockout.test.ts': ['a clock that is set back or forth neither makes nor ends a lock'] },
    'The gateway as a whole is not run with a clock that jumps.',
  ),
  row('F31', 'Running out of file descriptors is survived.', {
    'test/faults/descriptors.test.ts': [
      '${connections} connections with ${limit} descriptors: no crash, and normal work within 5 s of their end',
    ],
  }),
  open('F32', 'Too little memory is met by refusing.', 'Not tested yet.'),
  row(
    'F33',
    'A stall of the event loop is bounded and seen.',
    {
      [aggregateLists]: ['of 50 members with 200 tools each costs less than 50 ms of CPU to join'],
      [floods]: ['is bounded in memory where its %s client reads nothing'],
    },
    'The lag is a metric; its bound is asserted only as the time of other callers during a flood (3 s), not as 100 ms with large messages. There is no watchdog.',
  ),
  open(
    'F34',
    'Very many clients that reconnect at once are all served.',
    'Not tested yet: the pauses of `connect` grow and differ by chance, but no herd is run.',
  ),
  row(
    'F35',
    'A faulty configuration is refused with every fault and its place.',
    {
      'test/faults/bad-config.test.ts': [
        '%j is refused with exit 78 at %s',
        'keeps the real program from starting, and names every fault at once',
      ],
      'src/config/config.test.ts': ['are all reported at once, each with its place'],
    },
    'The configuration is read at the start; there is no reload.',
  ),
  row(
    'F36',
    'Versions can be changed forth and back.',
    { 'test/contracts/database.test.ts': ['a store made by a newer version is refused and stays as it is'] },
    `There is one version yet. ${oneNode}`,
  ),
  row('F37', 'A backup under load restores to its mark.', {
    [backup]: [
      '${rounds} backups under load: each has all that was answered before it and restores to its mark',
      'that was changed, cut or taken apart is refused, and leaves the folder as it was',
      'of a newer version is refused',
      'whose restore is killed leaves a whole store or none, and no gateway begins an empty one',
      'overwrites no store unless it is told to, and then moves it aside',
      'takes no name that is taken, leaves nothing of one that failed, and needs a store',
    ],
  }),
  open('F38', 'A request that crashes something does not do it again and again.', 'Not tested yet.'),
  row(
    'F39',
    'Billing can be computed again from the records.',
    {
      'test/billing/verify.test.ts': [
        'an honest store is clean, whatever was spent, refused, free or expired',
      ],
      'test/contracts/upkeep.test.ts': ['balances that were rebuilt are what the wallets are folded from'],
    },
    'Invoices are documents and are not computed again; a draft always is.',
  ),
  row(
    'F40',
    'Hours of load leave memory and handles flat.',
    {
      [lifecycles]: ['${count} lives of sessions, over all transports and eras: memory and handles are flat'],
    },
    'A run of minutes (TOLLBRIDGE_TEST_LIFECYCLES=30000), not of hours.',
  ),
]

/** Every promise, in the order of its id. */
export const requirements: readonly Requirement[] = [...callers, ...messages, ...reach, ...content, ...faults]
