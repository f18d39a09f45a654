// The next number of a series. It is taken by the transaction that uses it, so a number that is not used is not missing.
import { formatNumber, seriesYear } from './numbering.ts'
import type { InvoiceStore, NumberedDocument } from './store.ts'
import { Refusal } from './turns.ts'

export interface NumberSettings {
  readonly numberFormat: string
  readonly creditNoteFormat: string
  readonly timeZone: string
}

export class Numbers {
  readonly #store: Pick<InvoiceStore, 'lastNumber' | 'isNumberTaken'>
  readonly #settings: NumberSettings

  constructor(store: Pick<InvoiceStore, 'lastNumber' | 'isNumberTaken'>, settings: NumberSettings) {
    this.#store = store
    this.#settings = settings
  }

  /** One more than the last that is committed; two that take the same cannot both commit. */
  async next(
    kind: NumberedDocument['kind'],
    { documentId, atMs }: { documentId: string; atMs: number },
  ): Promise<NumberedDocument> {
    const { numberFormat, creditNoteFormat, timeZone } = this.#settings
    const format = kind === 'invoice' ? numberFormat : creditNoteFormat
    const year = seriesYear(format, atMs, timeZone)
    const seq = (await this.#store.lastNumber(kind, year)) + 1
    const number = formatNumber(format, year, seq)
    if (await this.#isTaken(number, { kind, year, seq }))
      throw new Refusal(
        `The number ${number} is taken by another series; give invoices.numberFormat and invoices.creditNoteFormat texts of their own.`,
      )
    return { kind, year, seq, number, documentId, atMs }
  }

  /** Taken for good: not by who was faster within the same series. */
  async #isTaken(
    number: string,
    { kind, year, seq }: { kind: NumberedDocument['kind']; year: number; seq: number },
  ) {
    return (await this.#store.isNumberTaken(number)) && (await this.#store.lastNumber(kind, year)) < seq
  }
}
