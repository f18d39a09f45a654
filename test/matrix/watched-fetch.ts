// A fetch that sends a credential and tells when the stream of a server's own messages is open.

export interface WatchedFetch {
  readonly fetch: (url: string | URL, init?: RequestInit) => Promise<Response>
  /** Resolves with the first answer to a GET: until then a server's own messages may have nowhere to go. */
  readonly listening: () => Promise<void>
}

export function watchedFetch(headers: Readonly<Record<string, string>>): WatchedFetch {
  const opened = Promise.withResolvers<void>()
  return {
    fetch: async (url, init = {}) => {
      const all = new Headers(init.headers)
      for (const [name, value] of Object.entries(headers)) all.set(name, value)
      const response = await fetch(url, { ...init, headers: all })
      if ((init.method ?? 'GET') === 'GET') opened.resolve()
      return response
    },
    listening: () => opened.promise,
  }
}
