// Whole lists out of pages, for lists that people look over at once.

interface Page<Item> {
  readonly items: readonly Item[]
  readonly nextCursor: string | null
}

const maxPages = 20

/** Everything, up to 2000 items; `fetchPage` gets what it passes on as its query. */
export async function allPages<Item>(
  fetchPage: (query: { limit: number; cursor?: string }) => Promise<Page<Item>>,
): Promise<readonly Item[]> {
  const items: Item[] = []
  let cursor: string | null = null
  for (let page = 0; page < maxPages; page++) {
    const found: Page<Item> = await fetchPage({ limit: 100, ...(cursor !== null && { cursor }) })
    items.push(...found.items)
    cursor = found.nextCursor
    if (cursor === null) break
  }
  return items
}
