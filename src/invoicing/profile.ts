// Who is billed for an account: name, address, country, tax id and e-mail as they stand on its next invoices.
import type { Party } from './invoice.ts'

export type Profile = Party

/** A change: null takes a member away, an absent one stays. */
export type ProfileChange = { readonly [Name in keyof Profile]?: string | null | undefined }

/** The profile after a change. */
export function changed(profile: Profile, change: ProfileChange): Profile {
  const members = { ...profile, ...dropUndefined(change) }
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null)) as Profile
}

const dropUndefined = (change: ProfileChange): Record<string, string | null> =>
  Object.fromEntries(
    Object.entries(change).filter((entry): entry is [string, string | null] => entry[1] !== undefined),
  )
