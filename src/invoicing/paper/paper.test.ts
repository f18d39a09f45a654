// Guarantees of invoices on paper: every medium says the same, nothing runs, and a long one goes over pages.
import { expect, test } from 'vitest'
import { readPdf } from '../../../test/harness/pdf-text.ts'
import type { FullInvoice, InvoiceContent, InvoiceLine } from '../invoice.ts'
import { renderCsv } from './csv.ts'
import { htmlPolicy, renderHtml } from './html.ts'
import { renderPdf } from './pdf.ts'
import { sheetOf } from './sheet.ts'

const period = { start: '2026-10-01T00:00:00.000Z', end: '2026-11-01T00:00:00.000Z' }
const lineOf = (position: number, given: Partial<InvoiceLine> = {}): InvoiceLine => ({
  position,
  kind: 'usage',
  description: `forecast_${position} on weather`,
  detail: 'calls, version 1: 0.01 USD per call',
  period,
  quantity: position,
  freeCalls: 0,
  unitPrice: '0.01',
  exactAmount: '1.005',
  amount: '1.00',
  usage: `/api/v1/billing/usage?tool=forecast_${position}&account=acc_1`,
  ...given,
})

function invoiceOf(lines: readonly InvoiceLine[], given: Partial<FullInvoice> = {}): FullInvoice {
  const content: InvoiceContent = {
    invoiceId: 'inv_1',
    number: 'INV-2026-000007',
    issuedAt: '2026-11-02T10:00:00.000Z',
    dueAt: '2026-11-16T10:00:00.000Z',
    currency: 'USD',
    period,
    timeZone: 'UTC',
    seller: {
      name: 'Maut GmbH',
      address: 'Brückenstraße 1\n10179 Berlin',
      payment: 'IBAN DE00\nwith the number',
    },
    customer: {
      name: 'Ωmega <Ltd> & Söhne',
      address: 'ул. Ленина 1',
      accountId: 'acc_1',
      accountName: 'ann',
    },
    lines,
    exactTotal: '123.4567',
    subtotal: '123.46',
    taxes: [{ name: 'VAT', rate: '0.19', base: '123.46', amount: '23.46' }],
    total: '146.92',
    appliedCredit: '23.46',
    exactAppliedCredit: '23.4567',
    amountDue: '123.46',
  }
  return {
    status: 'finalized',
    content,
    contentText: JSON.stringify(content),
    contentHash: 'ab'.repeat(32),
    ...given,
  } as FullInvoice
}

const awkward = [
  lineOf(1, { description: '<script>alert(1)</script> on "a&b"', detail: "it's" }),
  lineOf(2, { description: '=HYPERLINK("http://evil.example","x")', quantity: 0 }),
  lineOf(3, { description: 'прогноз, Ελληνικά, ქართული' }),
]

test('the page says who pays whom, how much and by when, and escapes what others named', () => {
  const html = renderHtml(sheetOf(invoiceOf(awkward)), 'https://gateway.example')
  for (const text of [
    'Invoice INV-2026-000007',
    'Maut GmbH',
    '10179 Berlin',
    '2026-11-16',
    'October 2026 (UTC)',
  ])
    expect(html).toContain(text)
  expect(html).toContain('Ωmega &lt;Ltd&gt; &amp; Söhne')
  expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt; on &quot;a&amp;b&quot;')
  expect(html).toContain(
    'href="https://gateway.example/api/v1/billing/usage?tool=forecast_3&amp;account=acc_1"',
  )
  const totals = [...html.matchAll(/<tr[^>]*><td>([^<]*)<\/td><td class="n">([^<]*)<\/td><\/tr>/g)]
  expect(totals.map(([, label, amount]) => [label, amount])).toEqual([
    ['Subtotal', '123.46 USD'],
    ['VAT (19 % of 123.46)', '23.46 USD'],
    ['Total', '146.92 USD'],
    ['Paid from credit', '-23.46 USD'],
    ['Amount due', '123.46 USD'],
  ])
})

test('the page has no script and loads nothing, and its policy allows its own style alone', () => {
  const html = renderHtml(sheetOf(invoiceOf(awkward)), '')
  expect(html).not.toMatch(/<script|<img|<link|<iframe|\son\w+=|url\(|@import|javascript:/i)
  expect(htmlPolicy).toMatch(/^default-src 'none'; style-src 'sha256-[\w+/=]+'; /)
  expect(html).toContain('http-equiv="content-security-policy"')
})

test('a draft, a void and a paid invoice say so before anything else', () => {
  const closedAtMs = Date.UTC(2026, 10, 9)
  const bannerOf = (given: Partial<FullInvoice>) => sheetOf(invoiceOf([], given)).banner
  expect(bannerOf({ status: 'draft' })).toMatch(/^Draft/)
  expect(bannerOf({ status: 'void', closedAtMs })).toBe('Void on 2026-11-09: nothing is to be paid')
  expect(bannerOf({ status: 'paid', closedAtMs, reference: 'bank 4' })).toBe('Paid on 2026-11-09, bank 4')
  expect(bannerOf({ status: 'finalized' })).toBeUndefined()
  expect(sheetOf(invoiceOf([])).notes).toContain('There were no calls to bill in this period.')
})

test('CSV is RFC 4180, with a row for each line and total, and no formula', () => {
  const csv = renderCsv(invoiceOf(awkward))
  const rows = csv.split('\r\n')
  expect(rows.at(-1)).toBe('')
  expect(rows).toHaveLength(1 + 3 + 5 + 1)
  expect(rows[0]).toMatch(/^invoice,number,position,kind,description,/)
  expect(rows[1]).toContain('"<script>alert(1)</script> on ""a&b"""')
  expect(rows[2]).toContain(`"'=HYPERLINK(""http://evil.example"",""x"")"`)
  expect(rows[8]).toMatch(/amount-due,Amount due,.*,123\.46,USD$/)
  expect(rows[7]).toMatch(/applied-credit,.*,23\.4567,23\.46,USD$/)
})

test('the PDF says the same, in any script that its font has, over numbered pages with the heading on each', async () => {
  const lines = [...awkward, ...Array.from({ length: 97 }, (_, n) => lineOf(n + 4))]
  const long = `${'ein_sehr_langer_Name_'.repeat(12)} on weather`
  lines[10] = lineOf(11, { description: long, amount: '1234567.89' })
  const file = await renderPdf(sheetOf(invoiceOf(lines)), Date.UTC(2026, 10, 2))
  expect(file.subarray(0, 5).toString()).toBe('%PDF-')
  const { pages, fonts } = readPdf(file)
  expect(fonts.every((name) => /^[A-Z]+\+DejaVuSans(-Bold)?$/.test(name))).toBe(true)
  expect(pages.length).toBeGreaterThan(3)
  const texts = pages.flatMap((page) => page.texts)
  const all = texts.map(({ text }) => text).join('\n')
  for (const line of lines.filter((each) => each.description !== long))
    expect(all).toContain(line.description)
  // Wrapped within its column, and nothing of it is lost.
  const parts = texts.filter(({ text }) => /^_?[a-zA-Z_]*sehr_langer|langer_Name_/.test(text))
  expect(parts.length).toBeGreaterThan(3)
  expect(all.replaceAll('\n', '')).toContain('ein_sehr_langer_Name_')
  for (const text of ['Ωmega <Ltd> & Söhne', 'ул. Ленина 1', 'Brückenstraße 1', 'IBAN DE00', '123.46 USD'])
    expect(all).toContain(text)
  for (const [index, page] of pages.entries()) {
    const own = page.texts.map(({ text }) => text)
    expect(own).toContain(`Page ${index + 1} of ${pages.length}`)
    if (own.some((text) => text.includes(' on weather'))) expect(own).toContain('Description')
    for (const { y } of page.texts) expect(y).toBeGreaterThan(30)
  }
  // Amounts end at the same edge: the longer, the further left they begin.
  const starts = (amount: string) =>
    texts.filter(({ text, x }) => text === amount && x > 450).map(({ x }) => x)
  expect(new Set(starts('1.00'))).toHaveLength(1)
  expect(starts('1234567.89')[0]).toBeLessThan(starts('1.00')[0] ?? 0)
})

test('the same document gives the same file, and many pages do not hold the event loop', async () => {
  const sheet = sheetOf(invoiceOf(Array.from({ length: 300 }, (_, n) => lineOf(n + 1))))
  const madeAtMs = Date.UTC(2026, 10, 2)
  const first = await renderPdf(sheet, madeAtMs)
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const second = await renderPdf(sheet, madeAtMs)
  clearInterval(timer)
  expect(second.equals(first)).toBe(true)
  expect(turns).toBeGreaterThan(5)
})
