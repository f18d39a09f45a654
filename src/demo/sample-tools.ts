// What the demo's own servers offer, as they say it themselves: three servers with answers made up on the spot.

export type SampleServer = 'maps' | 'papers' | 'warehouse'

interface SampleTool {
  readonly name: string
  readonly description: string
  /** Arguments: all are texts and needed. */
  readonly inputs: Readonly<Record<string, string>>
  /** The answer's text. */
  readonly answer: (inputs: Readonly<Record<string, string>>) => string
  /** Tokens that it reports of an answer. */
  readonly tokens?: (text: string) => number
  /** How long it takes, in milliseconds. */
  readonly takesMs: number
}

/** The key of `_meta` under which `papers` reports tokens. */
export const tokensKey = 'tokens.example/total'

/** The same number for the same text, from 0 to below 1. */
function chance(text: string): number {
  let hash = 2166136261
  for (const letter of text) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 16777619)
  return (hash >>> 0) / 2 ** 32
}

const place = (name: string) => ({
  name,
  latitude: Number((chance(`${name} lat`) * 120 - 60).toFixed(4)),
  longitude: Number((chance(`${name} lon`) * 340 - 170).toFixed(4)),
})
const json = (value: unknown): string => JSON.stringify(value, undefined, 2)
const subjects = ['Metering', 'Queues', 'Consensus', 'Caching', 'Tracing', 'Backpressure'] as const

function paper(topic: string, at: number) {
  const subject = subjects[Math.floor(chance(`${topic} ${at}`) * subjects.length)] ?? subjects[0]
  return {
    id: `p-${Math.floor(chance(`${at} ${topic}`) * 90_000 + 10_000)}`,
    title: `${subject} for ${topic}`,
  }
}

export const sampleTools: Readonly<Record<SampleServer, readonly SampleTool[]>> = {
  maps: [
    {
      name: 'geocode',
      description: 'Latitude and longitude of an address.',
      inputs: { address: 'Street and town' },
      answer: ({ address = '' }) => json(place(address)),
      takesMs: 40,
    },
    {
      name: 'route',
      description: 'The way from one address to another, with its length and the time it takes.',
      inputs: { from: 'Where it begins', to: 'Where it ends' },
      answer: ({ from = '', to = '' }) => {
        const km = Math.round(20 + chance(`${from}→${to}`) * 600)
        return json({ from: place(from), to: place(to), km, minutes: Math.round(km * 0.8) })
      },
      takesMs: 180,
    },
    {
      name: 'nearby',
      description: 'What there is around an address.',
      inputs: { address: 'Street and town', kind: 'cafe, charger, hotel, …' },
      answer: ({ address = '', kind = '' }) =>
        json([1, 2, 3].map((each) => ({ ...place(`${address} ${each}`), name: `${kind} ${each}` }))),
      takesMs: 90,
    },
  ],
  papers: [
    {
      name: 'search_papers',
      description: 'Papers on a topic, best first.',
      inputs: { topic: 'What they should be about' },
      answer: ({ topic = '' }) => json([1, 2, 3, 4, 5].map((at) => paper(topic, at))),
      takesMs: 320,
    },
    {
      name: 'read_paper',
      description: 'The text of a paper.',
      inputs: { id: 'Its id, from search_papers' },
      answer: ({ id = '' }) => `${id}\n\n${'It is shown that it depends. '.repeat(40 + chance(id) * 400)}`,
      takesMs: 260,
    },
    {
      name: 'summarize',
      description: 'What a text says, in a few sentences; billed by tokens.',
      inputs: { text: 'The text' },
      answer: ({ text = '' }) => `In short: ${text.slice(0, 200)}`,
      tokens: (text) => 60 + Math.ceil(text.length / 4),
      takesMs: 900,
    },
  ],
  warehouse: [
    {
      name: 'list_tables',
      description: 'The tables that there are.',
      inputs: {},
      answer: () => json(['orders', 'shipments', 'customers', 'stock']),
      takesMs: 30,
    },
    {
      name: 'run_query',
      description: 'Rows of a table; billed by the second.',
      inputs: { table: 'One of list_tables', where: 'Which rows' },
      answer: ({ table = '', where = '' }) =>
        json([1, 2, 3].map((id) => ({ table, id, amount: (chance(`${where}${id}`) * 900).toFixed(2) }))),
      takesMs: 1200,
    },
  ],
}
