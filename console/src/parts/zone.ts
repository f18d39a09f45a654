// The time zone in which times are shown and days begin: the browser's, or one that was chosen.

const key = 'time-zone'
const own = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone

/** IANA name. */
export function currentZone(): string {
  const kept = localStorage.getItem(key)
  return kept !== null && isZone(kept) ? kept : own()
}

function isZone(name: string): boolean {
  try {
    Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

/** The one in use, the browser's own, and UTC. */
export const usualZones = (): readonly string[] => [...new Set([currentZone(), own(), 'UTC'])]

/** Those, and every other that the browser knows. */
export const allZones = (): readonly string[] => [
  ...new Set([...usualZones(), ...Intl.supportedValuesOf('timeZone')]),
]

/** Kept by the browser. The page is drawn anew, so that no time stays in the old one. */
export function changeZone(name: string): void {
  if (name === own()) localStorage.removeItem(key)
  else localStorage.setItem(key, name)
  location.reload()
}
