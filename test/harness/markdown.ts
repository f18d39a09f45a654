// Reading what the documents say: rows of tables, and fenced blocks that are marked for a test.

/** The body rows of the first table below a heading (or of the whole text), each as its cells. */
export function tableRows(text: string, heading?: string): string[][] {
  const from = heading === undefined ? 0 : text.indexOf(`\n## ${heading}\n`)
  if (from < 0) throw new Error(`there is no heading "${heading}"`)
  const lines = text.slice(from).split('\n')
  const first = lines.findIndex((line) => line.startsWith('|'))
  const after = lines.findIndex((line, index) => index > first && !line.startsWith('|'))
  return lines.slice(first + 2, after < 0 ? undefined : after).map((line) =>
    line
      .slice(1, line.lastIndexOf('|'))
      .split('|')
      .map((cell) => cell.trim()),
  )
}

export interface MarkedBlock {
  readonly mark: string
  readonly text: string
}

/** Fenced blocks after a comment `<!-- test: MARK -->`, in order. */
export function markedBlocks(text: string): MarkedBlock[] {
  return [...text.matchAll(/<!-- test: ([^>]+?) -->\s*```\w*\n([\s\S]*?)```/g)].map(
    ([, mark = '', block = '']) => ({ mark, text: block }),
  )
}
