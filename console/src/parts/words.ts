// Small records as words: `server: maps*, tool: search`.

/** Members that are there, in their order. */
export const words = (value: Readonly<Record<string, unknown>>): string =>
  Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .map(([name, each]) => `${name}: ${Array.isArray(each) ? each.join(', ') : String(each)}`)
    .join(', ')
