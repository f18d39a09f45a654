// Whether final invoices and credit notes are still what was issued: their text, their sums and their numbers.
import { formatAmount, parseAmount } from '../base/money.ts'
import type { InvoiceAuditStore } from './audit-store.ts'
import { hashOf } from './document.ts'

/** One thing that is not as it should be. */
export interface DocumentProblem {
  readonly id: string
  readonly expected: string
  readonly actual: string
}

const pageRows = 200

/** Tells every problem; returns how many documents there are. */
export async function checkDocuments(
  store: InvoiceAuditStore,
  tell: (problem: DocumentProblem) => void,
  signal?: AbortSignal,
): Promise<number> {
  let count = 0
  for (const kind of ['invoice', 'credit-note'] as const) {
    for (let after = ''; ;) {
      signal?.throwIfAborted()
      const page = await store.documents(kind, { after, limit: pageRows })
      for (const { id, number, content, hash, billed } of page) {
        count++
        if (hashOf(content) !== hash)
          tell({
            id,
            expected: `a text with the SHA-256 ${hash ?? 'that was kept'}`,
            actual: hashOf(content),
          })
        const { number: shown, exactTotal } = readContent(content)
        if (shown !== number)
          tell({
            id,
            expected: `number ${number ?? 'of the document'}`,
            actual: shown ? `number ${shown}` : 'none',
          })
        if (billed !== undefined && billed !== parseAmount(exactTotal ?? ''))
          tell({ id, expected: exactTotal ?? 'a total', actual: formatAmount(billed) })
      }
      const last = page.at(-1)
      if (!last || page.length < pageRows) break
      after = last.id
    }
  }
  for (const { kind, year, given, span } of await store.numbers())
    if (given !== span)
      tell({ id: `${kind} numbers of ${year}`, expected: `${span}`, actual: `${given}; some are missing` })
  for (const { number, documentId } of await store.lostNumbers(pageRows))
    tell({ id: number, expected: `the document ${documentId}`, actual: 'none with that number' })
  return count
}

function readContent(text: string): { number?: string; exactTotal?: string } {
  try {
    const { number, exactTotal } = JSON.parse(text) as Record<string, unknown>
    return {
      ...(typeof number === 'string' && { number }),
      ...(typeof exactTotal === 'string' && { exactTotal }),
    }
  } catch {
    return {}
  }
}
