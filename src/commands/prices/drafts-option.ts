// The option that names drafts: `all`, or ids between commas.

/** The member `drafts` of a request out of an option. */
export const draftsOption = (text: string | undefined): { drafts?: 'all' | string[] } =>
  text === undefined ? {} : { drafts: text === 'all' ? text : text.split(',').map((id) => id.trim()) }
