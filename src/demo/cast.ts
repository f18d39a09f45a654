// Who and what the demo's month is about: people, what they use, how often, and how the servers behave.
export interface Actor {
  readonly username: string
  /** The team its account stands under; absent for customers. */
  readonly team?: 'Field' | 'Research'
  readonly isPostpaid?: boolean
  /** Its price book. */
  readonly plan?: string
  readonly key: string
  readonly client: { readonly userAgent: string; readonly info: string }
  /** Calls on a usual working day. */
  readonly callsADay: number
  /** Working hours, UTC; a robot's calls come in its first hour. */
  readonly hours: readonly [number, number]
  /** Whether it works on Saturdays and Sundays. */
  readonly everyDay?: boolean
  /** How often it uses each tool, by weight. */
  readonly tools: Readonly<Record<string, number>>
  /** Credit at the start of the month and every seven days after, decimal. */
  readonly credit?: { readonly first: string; readonly weekly?: string; readonly reason: string }
}

const client = (info: string) => ({ userAgent: info, info })

export const actors: readonly Actor[] = [
  {
    username: 'lena',
    team: 'Field',
    key: 'laptop',
    client: client('claude-code/2.1.4'),
    callsADay: 70,
    hours: [7, 16],
    tools: { 'maps geocode': 40, 'maps route': 35, 'maps nearby': 15, 'warehouse run_query': 10 },
    credit: { first: '25', weekly: '5', reason: 'Monthly allowance' },
  },
  {
    username: 'jonas',
    team: 'Field',
    key: 'van tablet',
    client: client('cursor/1.9.2'),
    callsADay: 45,
    hours: [6, 14],
    everyDay: true,
    tools: { 'maps geocode': 25, 'maps route': 60, 'maps nearby': 15 },
    credit: { first: '25', weekly: '5', reason: 'Monthly allowance' },
  },
  {
    username: 'mei',
    team: 'Research',
    key: 'notebook',
    client: client('python-sdk/2.0.1'),
    callsADay: 60,
    hours: [8, 18],
    tools: { 'papers search_papers': 45, 'papers read_paper': 35, 'papers summarize': 20 },
    credit: { first: '40', weekly: '15', reason: 'Monthly allowance' },
  },
  {
    username: 'omar',
    team: 'Research',
    key: 'editor',
    client: client('vscode/1.121.0'),
    callsADay: 35,
    hours: [9, 19],
    tools: { 'papers search_papers': 30, 'papers read_paper': 30, 'warehouse run_query': 40 },
    credit: { first: '40', weekly: '10', reason: 'Monthly allowance' },
  },
  {
    username: 'night-batch',
    team: 'Research',
    key: 'nightly',
    client: client('typescript-sdk/2.0.0'),
    callsADay: 90,
    hours: [2, 3],
    everyDay: true,
    tools: { 'papers read_paper': 40, 'papers summarize': 40, 'warehouse run_query': 20 },
    credit: { first: '150', weekly: '20', reason: 'Nightly digest' },
  },
  {
    username: 'harbor-travel',
    isPostpaid: true,
    plan: 'partner',
    key: 'production',
    client: client('harbor-assistant/4.2'),
    callsADay: 160,
    hours: [5, 22],
    everyDay: true,
    tools: { 'maps geocode': 50, 'maps route': 30, 'maps nearby': 20 },
  },
  {
    username: 'lumen-retail',
    key: 'shop',
    client: client('lumen-shop/0.9'),
    callsADay: 40,
    hours: [8, 20],
    everyDay: true,
    tools: { 'maps geocode': 60, 'maps nearby': 30, 'papers search_papers': 10 },
    credit: { first: '2', weekly: '0.8', reason: 'Card payment' },
  },
]

/** How a tool's calls look from outside: medians, and shares of a thousand. */
export interface Habit {
  readonly requestBytes: number
  readonly responseBytes: number
  readonly durationMs: number
  readonly toolErrors: number
  readonly errors: number
  /** Median of the tokens that it reports. */
  readonly tokens?: number
}

/** By server and tool. */
export const habits: Readonly<Record<string, Habit>> = {
  'maps geocode': { requestBytes: 190, responseBytes: 310, durationMs: 45, toolErrors: 12, errors: 1 },
  'maps route': { requestBytes: 240, responseBytes: 620, durationMs: 190, toolErrors: 20, errors: 2 },
  'maps nearby': { requestBytes: 210, responseBytes: 900, durationMs: 95, toolErrors: 5, errors: 1 },
  'papers search_papers': {
    requestBytes: 200,
    responseBytes: 2100,
    durationMs: 340,
    toolErrors: 4,
    errors: 3,
  },
  'papers read_paper': {
    requestBytes: 170,
    responseBytes: 16_000,
    durationMs: 280,
    toolErrors: 15,
    errors: 3,
  },
  'papers summarize': {
    requestBytes: 5200,
    responseBytes: 900,
    durationMs: 1100,
    toolErrors: 2,
    errors: 6,
    tokens: 1500,
  },
  'warehouse run_query': {
    requestBytes: 260,
    responseBytes: 3400,
    durationMs: 1300,
    toolErrors: 40,
    errors: 8,
  },
}

/** Days before the last on which a server was in trouble, with the errors of a thousand then. */
export const trouble = { server: 'warehouse', daysAgo: 9, errors: 350 } as const
