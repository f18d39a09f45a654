// Telling plain mappings from everything else that JSON and YAML can give.

/** A plain mapping, as JSON and YAML give it. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
