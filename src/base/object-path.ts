// Reaching into plain nested objects by path.
import { isObject } from './is-object.ts'

/** The member at a path; undefined where there is none. */
export function getIn(root: Record<string, unknown>, path: readonly string[]): unknown {
  return path.reduce<unknown>((node, name) => (isObject(node) ? node[name] : undefined), root)
}

/** Sets a member, making what is missing above it; does nothing where something above it is no object. */
export function setIn(root: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let node: unknown = root
  for (const name of path.slice(0, -1)) {
    if (!isObject(node)) return
    node[name] ??= {}
    node = node[name]
  }
  const last = path.at(-1)
  if (isObject(node) && last !== undefined) node[last] = value
}
