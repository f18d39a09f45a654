// The text of a PDF, page by page, as a reader would copy it: out of the content streams and the fonts' own tables.
import { inflateSync } from 'node:zlib'

export interface PdfPage {
  /** Texts as they were placed, top to bottom, with the left and right edge of each (points). */
  readonly texts: readonly { readonly text: string; readonly x: number; readonly y: number }[]
}

/** Reads what pdfkit writes; it is no reader of PDF in general. */
export function readPdf(file: Buffer): { pages: PdfPage[]; fonts: string[] } {
  const objects = new Map<string, { head: string; stream: string }>()
  const source = file.toString('latin1')
  for (const [, id = '', body = ''] of source.matchAll(/(\d+) 0 obj\n([\s\S]*?)\nendobj/g)) {
    const [head = ''] = body.split(/stream\n/, 1)
    // By its length, since compressed data may end in what looks like the end of a line.
    const start = head.length + 'stream\n'.length
    const length = Number(/\/Length (\d+)/.exec(head)?.[1] ?? 0)
    const bytes = Buffer.from(body.slice(start, start + length), 'latin1')
    const stream = head.includes('/FlateDecode')
      ? inflateSync(bytes).toString('latin1')
      : bytes.toString('latin1')
    objects.set(id, { head, stream })
  }
  const get = (id = '') => objects.get(id) ?? { head: '', stream: '' }
  const pages = [...objects.values()].filter(({ head }) => /\/Type \/Page\b/.test(head))
  const fonts = [...source.matchAll(/\/BaseFont \/(\S+)/g)].map(([, name = '']) => name)
  return {
    fonts: [...new Set(fonts)],
    pages: pages.map(({ head }) => {
      const resources = get(/\/Resources (\d+) 0 R/.exec(head)?.[1]).head
      const tables = new Map(
        [...resources.matchAll(/\/(F\d+) (\d+) 0 R/g)].map(([, name = '', id]) => {
          const table = /\/ToUnicode (\d+) 0 R/.exec(get(id).head)?.[1]
          return [name, glyphsOf(get(table).stream)] as const
        }),
      )
      return { texts: textsOf(get(/\/Contents (\d+) 0 R/.exec(head)?.[1]).stream, tables) }
    }),
  }
}

/** Glyph number → text, out of a ToUnicode table. */
function glyphsOf(table: string): Map<number, string> {
  const glyphs = new Map<number, string>()
  for (const [, block = ''] of table.matchAll(/beginbfrange\n([\s\S]*?)\nendbfrange/g))
    for (const [, from = '', , list = ''] of block.matchAll(/<(\w+)> <(\w+)> \[([^\]]*)\]/g))
      for (const [index, [, hex = '']] of [...list.matchAll(/<([\w ]*)>/g)].entries())
        glyphs.set(Number.parseInt(from, 16) + index, fromUtf16(hex))
  return glyphs
}

const fromUtf16 = (hex: string): string =>
  Buffer.from(hex.replaceAll(' ', ''), 'hex').swap16().toString('utf16le')

function textsOf(
  content: string,
  tables: ReadonlyMap<string, ReadonlyMap<number, string>>,
): PdfPage['texts'] {
  const texts: { text: string; x: number; y: number }[] = []
  for (const [, block = ''] of content.matchAll(/BT\n([\s\S]*?)\nET/g)) {
    const [, x = '0', y = '0'] = /1 0 0 1 (\S+) (\S+) Tm/.exec(block) ?? []
    const glyphs = tables.get(/\/(F\d+) \S+ Tf/.exec(block)?.[1] ?? '')
    const codes = [...block.matchAll(/<(\w+)>/g)].flatMap(([, hex = '']) => hex.match(/.{4}/g) ?? [])
    const text = codes.map((code) => glyphs?.get(Number.parseInt(code, 16)) ?? '\uFFFD').join('')
    texts.push({ text, x: Number(x), y: Number(y) })
  }
  return texts.toSorted((a, b) => b.y - a.y || a.x - b.x)
}
