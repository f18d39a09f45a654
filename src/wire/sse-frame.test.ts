// Guarantees of the SSE parser and writer: bytes are kept, limits hold, and chunk borders change nothing.
import { createParser } from 'eventsource-parser'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatEvent, SseParser, type SseEvent } from './sse-frame.ts'
import { runs } from '../../test/harness/fuzz.ts'

/** Cuts the bytes at the given places and parses them. */
function parse(bytes: Buffer, cuts: readonly number[] = [], maxEventBytes = 1 << 20) {
  const events: SseEvent[] = []
  const parser = new SseParser(maxEventBytes, (event) => events.push(event))
  let ok = true
  let from = 0
  for (const cut of [...cuts, bytes.length]) {
    const to = Math.max(from, Math.min(cut, bytes.length))
    ok = parser.push(Buffer.from(bytes.subarray(from, to))) && ok
    from = to
  }
  return { events, ok, partial: parser.partial }
}

interface Plain {
  data: string | undefined
  id: string | undefined
  event: string | undefined
  retryMs: number | undefined
}

const plain = ({ data, id, event, retryMs }: SseEvent): Plain => ({
  data: data?.toString(),
  id,
  event,
  retryMs,
})

/** The specification read naively over the whole text at once. */
function reference(text: string): Plain[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/)
  lines.pop()
  const found: Plain[] = []
  let block: string[] = []
  for (const line of lines) {
    if (line !== '') {
      block.push(line)
      continue
    }
    if (block.length > 0) found.push(readBlock(block))
    block = []
  }
  return found
}

function readBlock(block: readonly string[]): Plain {
  const event: Plain = { data: undefined, id: undefined, event: undefined, retryMs: undefined }
  for (const line of block) {
    const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
    if (name === 'data') event.data = event.data === undefined ? value : `${event.data}\n${value}`
    if (name === 'id' && !value.includes('\0')) event.id = value
    if (name === 'event') event.event = value
    if (name === 'retry' && /^\d{1,15}$/.test(value)) event.retryMs = Number(value)
  }
  return event
}

const piece = fc.constantFrom(
  'data',
  'data:',
  'data: ',
  'id:',
  'id: 7',
  'event: ping',
  'retry: 30',
  'retry: x',
  ':',
  ': hi',
  ' ',
  'é',
  '€',
  'database: 1',
  '{"a":1}',
  '\0',
  '\n',
  '\r',
  '\r\n',
  '\n\n',
  '\r\r',
  '\r\n\r\n',
)
const stream = fc
  .tuple(fc.boolean(), fc.array(piece, { maxLength: 40 }))
  .map(([mark, pieces]) => (mark ? '\uFEFF' : '') + pieces.join(''))

describe('the parser', () => {
  test('agrees with the specification whatever the line endings and chunk borders', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(120), { maxLength: 12 }), (text, cuts) => {
        const sorted = cuts.toSorted((a, b) => a - b)
        expect(parse(Buffer.from(text), sorted).events.map(plain)).toEqual(reference(text))
      }),
      { numRuns: runs(3000) },
    )
  })

  test('agrees with the parser that the official clients use, on all that has data', () => {
    fc.assert(
      fc.property(stream, (start) => {
        // A CR at the very end waits there for its LF.
        const text = `${start}\n\n`
        const theirs: Pick<Plain, 'data' | 'id' | 'event'>[] = []
        const parser = createParser({
          onEvent: ({ data, id, event }) => theirs.push({ data, id, event: event || undefined }),
        })
        // The clients decode first, and decoding removes a byte order mark.
        parser.feed(new TextDecoder().decode(Buffer.from(text)))
        const ours = parse(Buffer.from(text)).events.map(plain)
        const withData = ours.filter(({ data }) => data !== undefined)
        expect(withData.map(({ data, id, event }) => ({ data, id, event: event || undefined }))).toEqual(
          theirs,
        )
      }),
      { numRuns: runs(2000) },
    )
  })

  test('agrees with the specification byte by byte', () => {
    fc.assert(
      fc.property(stream, (text) => {
        const bytes = Buffer.from(text)
        const cuts = Array.from({ length: bytes.length }, (_, i) => i)
        expect(parse(bytes, cuts).events.map(plain)).toEqual(reference(text))
      }),
      { numRuns: runs(1000) },
    )
  })

  test('keeps the bytes of LF streams exactly: the frames are the stream', () => {
    const event = fc
      .array(fc.constantFrom('data: a', 'data:', ': c', 'id: 1', 'x: y'), { minLength: 1, maxLength: 5 })
      .map((lines) => `${lines.join('\n')}\n\n`)
    fc.assert(
      fc.property(fc.array(event), fc.array(fc.nat(200)), (events, cuts) => {
        const bytes = Buffer.from(events.join(''))
        const parsed = parse(
          bytes,
          cuts.toSorted((a, b) => a - b),
        )
        expect(parsed.events.map((frame) => frame.raw.toString())).toEqual(events)
        expect(parsed.partial).toBe(false)
      }),
    )
  })

  test('keeps the bytes of frames handed over earlier while later chunks arrive', () => {
    const text = Array.from({ length: 200 }, (_, i) => `id: ${i}\ndata: ${'x'.repeat(i)}\n\n`)
    const cuts = Array.from({ length: 4000 }, (_, i) => i * 7)
    expect(parse(Buffer.from(text.join('')), cuts).events.map((event) => event.raw.toString())).toEqual(text)
  })

  test('hands over a priming event with an id and empty data', () => {
    expect(parse(Buffer.from('id: 5\ndata:\n\n')).events.map(plain)).toEqual([
      { data: '', id: '5', event: undefined, retryMs: undefined },
    ])
  })

  test('hands over an event that ends in CR at once, and drops the late LF', () => {
    const { events } = parse(Buffer.from('data: 1\r\n\r\ndata: 2\r\n\r\n'), [11])
    expect(events.map((event) => event.data?.toString())).toEqual(['1', '2'])
    const held = parse(Buffer.from('data: 1\r\n\r'))
    expect(held.events).toHaveLength(1)
  })

  test('discards an event that never ends and says that it was cut off', () => {
    const { events, partial } = parse(Buffer.from('data: 1\n\ndata: 2\n'))
    expect(events).toHaveLength(1)
    expect(partial).toBe(true)
  })

  test('refuses an event over the limit, whole or in pieces, finished or not', () => {
    const large = Buffer.from(`data: ${'x'.repeat(100)}\n\n`)
    expect(parse(large, [], 108).ok).toBe(true)
    expect(parse(large, [], 107)).toMatchObject({ ok: false, events: [] })
    expect(parse(large, [10, 20, 30], 107).ok).toBe(false)
    expect(parse(Buffer.from('x'.repeat(200)), [50, 100], 107).ok).toBe(false)
    expect(parse(Buffer.from('data: 1\n\n'.repeat(100)), [33, 66], 20).ok).toBe(true)
  })

  test('reads a large event in small chunks in linear time', () => {
    const bytes = Buffer.from(`data: ${'x'.repeat(4 << 20)}\n\n`)
    const cuts = Array.from({ length: bytes.length / 64 }, (_, i) => i * 64)
    const start = performance.now()
    expect(parse(bytes, cuts, 8 << 20).events).toHaveLength(1)
    expect(performance.now() - start).toBeLessThan(3000)
  })
})

describe('the writer', () => {
  test('writes what the parser reads back, for any data', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.boolean(), (data, asBytes) => {
        const bytes = formatEvent({ data: asBytes ? Buffer.from(data) : data, id: '9', event: 'message' })
        const { events } = parse(bytes)
        expect(events).toHaveLength(1)
        const expected = Buffer.from(data).toString().replaceAll('\r\n', '\n').replaceAll('\r', '\n')
        expect(events[0]?.data?.toString()).toBe(expected)
        expect(events[0]).toMatchObject({ id: '9', event: 'message' })
      }),
      { numRuns: runs(2000) },
    )
  })

  test('lets no value write fields of its own', () => {
    expect(() => formatEvent({ data: '', id: '1\ndata: evil' })).toThrow(TypeError)
    expect(() => formatEvent({ data: '', event: 'a\rb' })).toThrow(TypeError)
    expect(() => formatEvent({ data: '', id: 'a\0' })).toThrow(TypeError)
    const { events } = parse(formatEvent({ data: 'a\n\nevent: evil\ndata: x' }))
    expect(events).toHaveLength(1)
    expect(events[0]?.event).toBeUndefined()
  })
})
