// The part of pdfkit that is used, with types of its own: the package has none.
import { createRequire } from 'node:module'

interface TextOptions {
  readonly width?: number
  readonly height?: number
  readonly ellipsis?: boolean
  readonly lineBreak?: boolean
}

/** A document that is drawn from top to bottom; lengths in points, from the upper left corner. */
export interface PdfDocument {
  x: number
  y: number
  readonly page: { readonly margins: { bottom: number } }
  on(event: 'data', listener: (chunk: Buffer) => void): this
  on(event: 'end', listener: () => void): this
  on(event: 'error', listener: (error: Error) => void): this
  registerFont(name: string, font: Uint8Array): this
  font(name: string): this
  fontSize(size: number): this
  fillColor(colour: string): this
  text(text: string, options: TextOptions): this
  text(text: string, x: number, y: number, options: TextOptions): this
  moveDown(lines: number): this
  heightOfString(text: string, options: TextOptions): number
  widthOfString(text: string): number
  addPage(): this
  bufferedPageRange(): { start: number; count: number }
  switchToPage(index: number): this
  moveTo(x: number, y: number): this
  lineTo(x: number, y: number): this
  lineWidth(width: number): this
  strokeColor(colour: string): this
  stroke(): this
  end(): void
}

interface PdfOptions {
  readonly size: string
  readonly margin: number
  /** Keeps pages open, so that they can be numbered at the end. */
  readonly bufferPages: boolean
  readonly lang: string
  readonly displayTitle: boolean
  readonly info: Readonly<Record<string, string | Date>>
}

const require = createRequire(import.meta.url)

/** Opens a document. The package is loaded when it is first needed: it is large. */
export function openPdf(options: PdfOptions): PdfDocument {
  const Document = require('pdfkit') as new (options: PdfOptions) => PdfDocument
  return new Document(options)
}
