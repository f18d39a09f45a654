// An invoice in the format that was asked for: as a page, as PDF, as CSV, or as the data that its hash covers.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { FullInvoice } from '../../../invoicing/invoice.ts'
import { renderCsv } from '../../../invoicing/paper/csv.ts'
import { htmlPolicy, renderHtml } from '../../../invoicing/paper/html.ts'
import { renderPdf } from '../../../invoicing/paper/pdf.ts'
import { sheetOf } from '../../../invoicing/paper/sheet.ts'
import { Answer } from '../route.ts'

const formats = ['html', 'pdf', 'csv', 'data'] as const
type Format = (typeof formats)[number]

export const formatQuery = z
  .enum(formats)
  .optional()
  .describe('Instead of JSON; without it, Accept may ask for text/html, application/pdf or text/csv.')

const byType: Readonly<Record<string, Format | 'json'>> = {
  'text/html': 'html',
  'application/pdf': 'pdf',
  'text/csv': 'csv',
  'application/json': 'json',
}

/** The format that Accept likes best among those there are; JSON where it names none (RFC 9110 section 12.5.1). */
export function formatOf(accept: string | undefined): Format | undefined {
  const liked = (accept ?? '')
    .split(',')
    .map((range) => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
      const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
      return { format: byType[type], quality: quality === undefined ? 1 : Number(quality) }
    })
    .filter(({ format, quality }) => format !== undefined && quality > 0)
    .toSorted((a, b) => b.quality - a.quality)
  const best = liked[0]?.format
  return best === 'json' ? undefined : best
}

const maxWaiting = 32

/** Makes invoices on paper; PDFs one after another, since each takes time that calls are waiting for. */
export class Press {
  #turn: Promise<unknown> = Promise.resolve()
  #waiting = 0

  /** The invoice as an answer of its own type. `baseUrl` goes before the links to the calls. */
  async print(invoice: FullInvoice, format: Format, baseUrl: string): Promise<Answer> {
    if (format === 'html') {
      const headers = { 'content-security-policy': htmlPolicy }
      return new Answer('text/html; charset=utf-8', renderHtml(sheetOf(invoice), baseUrl), { headers })
    }
    const file = (extension: string) => ({
      headers: { 'content-disposition': `inline; filename="${fileName(invoice)}.${extension}"` },
    })
    if (format === 'csv') return new Answer('text/csv; charset=utf-8', renderCsv(invoice), file('csv'))
    if (format === 'data') return new Answer('application/json; charset=utf-8', invoice.contentText)
    const madeAtMs = invoice.finalizedAtMs ?? invoice.updatedAtMs
    const bytes = await this.#inTurn(() => renderPdf(sheetOf(invoice), madeAtMs))
    return new Answer('application/pdf', bytes, file('pdf'))
  }

  /** Throws `overloaded` where too many wait. */
  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#waiting >= maxWaiting) throw new GatewayError('overloaded', { retryAfterS: 2 })
    this.#waiting++
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => {})
    try {
      return await mine
    } finally {
      this.#waiting--
    }
  }
}

const fileName = ({ id, number }: FullInvoice): string => (number ?? id).replaceAll(/[^\w.-]+/g, '-')
