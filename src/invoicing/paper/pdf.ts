// An invoice as PDF: A4, as many pages as it takes, its fonts embedded.
import { readFile } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { openPdf, type PdfDocument } from './pdf-document.ts'
import type { Sheet, SheetRow } from './sheet.ts'

type Doc = PdfDocument

const margin = 50
const page = { width: 595.28, height: 841.89 }
const right = page.width - margin
/** Room for the page number below. */
const bottom = page.height - margin - 24
/** Right edges of the number columns, and the width that the description has. */
const edges = { quantity: 365, unitPrice: 455, amount: right } as const
const textWidth = 255
const ink = '#1a1a1a'
const pale = '#555555'
/** Rows between two turns of the event loop. */
const rowsAtOnce = 10

/** Renders a sheet. `madeAtMs` stands in the file as its date, so that the same document gives the same file. */
export async function renderPdf(sheet: Sheet, madeAtMs: number): Promise<Buffer> {
  const [regular, bold] = await Promise.all([
    readFile(new URL('fonts/dejavu-sans.ttf', import.meta.url)),
    readFile(new URL('fonts/dejavu-sans-bold.ttf', import.meta.url)),
  ])
  const doc = openPdf({
    size: 'A4',
    margin,
    bufferPages: true,
    lang: 'en',
    displayTitle: true,
    info: {
      Title: sheet.title,
      Author: sheet.seller[0] ?? '',
      Producer: 'Tollbridge',
      CreationDate: new Date(madeAtMs),
    },
  })
  const chunks: Buffer[] = []
  doc.on('data', (chunk: Buffer) => chunks.push(chunk))
  const ended = new Promise<void>((resolve, reject) => doc.on('end', () => resolve()).on('error', reject))
  doc.registerFont('regular', regular).registerFont('bold', bold)
  drawHead(doc, sheet)
  await drawRows(doc, sheet.rows)
  drawTotals(doc, sheet)
  drawNotes(doc, sheet)
  numberPages(doc, sheet.title)
  doc.end()
  await ended
  return Buffer.concat(chunks)
}

const set = (doc: Doc, font: 'regular' | 'bold', size: number, colour = ink): Doc =>
  doc.font(font).fontSize(size).fillColor(colour)

function drawHead(doc: Doc, { title, banner, seller, customer, facts }: Sheet): void {
  set(doc, 'bold', 18).text(title, margin, margin, { width: right - margin })
  doc.moveDown(0.5)
  if (banner !== undefined) {
    set(doc, 'bold', 10, '#9a3412').text(banner, { width: right - margin })
    doc.moveDown(0.5)
  }
  const top = doc.y + 6
  const column = (right - margin - 20) / 3
  const ends = [
    drawBlock(doc, { heading: 'From', texts: seller, x: margin, y: top, width: column }),
    drawBlock(doc, { heading: 'To', texts: customer, x: margin + column + 10, y: top, width: column }),
    drawBlock(doc, {
      heading: 'Details',
      x: margin + 2 * (column + 10),
      y: top,
      width: column,
      texts: facts.map(([label, value]) => `${label}: ${value}`),
    }),
  ]
  doc.y = Math.max(...ends) + 18
}

function drawBlock(
  doc: Doc,
  block: { heading: string; texts: readonly string[]; x: number; y: number; width: number },
): number {
  const { heading, texts, x, y, width } = block
  set(doc, 'bold', 8, pale).text(heading, x, y, { width })
  set(doc, 'regular', 9)
  for (const text of texts) doc.text(text, x, doc.y + 1, { width })
  return doc.y
}

async function drawRows(doc: Doc, rows: readonly SheetRow[]): Promise<void> {
  drawTableHead(doc)
  for (const [index, row] of rows.entries()) {
    drawRow(doc, row)
    // Shaping text takes time that calls are waiting for.
    if (index % rowsAtOnce === rowsAtOnce - 1) await nextTurn()
  }
}

function drawTableHead(doc: Doc): void {
  const { y } = doc
  set(doc, 'bold', 8, pale).text('Description', margin, y, { width: textWidth })
  atEdge(doc, 'Calls', edges.quantity, y)
  atEdge(doc, 'Unit price', edges.unitPrice, y)
  atEdge(doc, 'Amount', edges.amount, y)
  doc.y = y + 13
  rule(doc, ink)
}

function drawRow(doc: Doc, { description, detail, quantity, unitPrice, amount }: SheetRow): void {
  const width = { width: textWidth }
  const height =
    set(doc, 'regular', 9).heightOfString(description, width) +
    (detail === '' ? 0 : set(doc, 'regular', 7.5).heightOfString(detail, width))
  if (doc.y + height + 8 > bottom) {
    doc.addPage()
    drawTableHead(doc)
  }
  const y = doc.y + 4
  set(doc, 'regular', 9)
  atEdge(doc, quantity, edges.quantity, y)
  atEdge(doc, unitPrice, edges.unitPrice, y)
  atEdge(doc, amount, edges.amount, y)
  doc.text(description, margin, y, width)
  if (detail !== '') set(doc, 'regular', 7.5, pale).text(detail, margin, doc.y, width)
  doc.y = y + height + 4
  rule(doc, '#dddddd')
}

function drawTotals(doc: Doc, { totals }: Sheet): void {
  makeRoom(doc, totals.length * 16 + 12)
  doc.y += 10
  for (const { label, amount, isStrong } of totals) {
    const { y } = doc
    set(doc, isStrong ? 'bold' : 'regular', 10)
    atEdge(doc, amount, right, y)
    const amountWidth = doc.widthOfString(amount)
    const width = right - amountWidth - 16 - 250
    const height = doc.heightOfString(label, { width })
    doc.text(label, 250, y, { width })
    doc.y = y + Math.max(height, 12) + 4
  }
}

function drawNotes(doc: Doc, { notes }: Sheet): void {
  doc.y += 14
  for (const note of notes) {
    const width = { width: right - margin }
    makeRoom(doc, set(doc, 'regular', 8, pale).heightOfString(note, width) + 3)
    doc.text(note, margin, doc.y + 3, width)
  }
}

function makeRoom(doc: Doc, height: number): void {
  if (doc.y + height > bottom) doc.addPage()
}

function numberPages(doc: Doc, title: string): void {
  const { start, count } = doc.bufferedPageRange()
  for (let index = 0; index < count; index++) {
    doc.switchToPage(start + index)
    // Text below the margin would open a page of its own.
    doc.page.margins.bottom = 0
    const y = page.height - margin
    const width = right - margin - 90
    set(doc, 'regular', 8, pale).text(title, margin, y, {
      width,
      height: 10,
      ellipsis: true,
      lineBreak: false,
    })
    atEdge(doc, `Page ${index + 1} of ${count}`, right, y)
  }
}

/** One line that ends at an edge. */
function atEdge(doc: Doc, text: string, edge: number, y: number): void {
  if (text !== '') doc.text(text, edge - doc.widthOfString(text), y, { lineBreak: false })
}

function rule(doc: Doc, colour: string): void {
  doc.moveTo(margin, doc.y).lineTo(right, doc.y).lineWidth(0.5).strokeColor(colour).stroke()
}
