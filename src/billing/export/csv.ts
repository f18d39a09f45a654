// Rows of comma-separated values (RFC 4180) that no spreadsheet takes for a formula.

/** A decimal out of our own hands: written as it is, also where it begins with a minus. */
export interface Figure {
  readonly figure: string
}

export type CsvValue = string | number | boolean | Figure | undefined

/** One line with its line end. */
export const csvLine = (values: readonly CsvValue[]): string => `${values.map(csvField).join(',')}\r\n`

function csvField(value: CsvValue): string {
  if (value === undefined) return ''
  if (typeof value === 'object') return value.figure
  if (typeof value !== 'string') return String(value)
  // What begins like this is carried out by spreadsheets (OWASP, "CSV Injection").
  const harmless = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
