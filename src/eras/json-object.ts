// JSON objects whose members we do not all know, and copies of them without some members.
import { isObject } from '../base/is-object.ts'

export type Json = Readonly<Record<string, unknown>>

/** The object, or a copy of it where it has one of these members. */
export function without(object: Json, ...keys: readonly string[]): Json {
  if (!keys.some((key) => Object.hasOwn(object, key))) return object
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)))
}

/** The same params or result without some keys of its `_meta`, and without `_meta` where nothing is left in it. */
export function withoutMeta(object: Json, ...keys: readonly string[]): Json {
  const meta = object['_meta']
  if (!isObject(meta)) return object
  const rest = without(meta, ...keys)
  if (rest === meta) return object
  return Object.keys(rest).length > 0 ? { ...object, _meta: rest } : without(object, '_meta')
}
