// In which eras of the protocol each server has answered, for people to see; nothing is routed by it.
import type { Era } from '../wire/protocol-version.ts'
import type { Server } from '../registry/server.ts'

type Seen = Pick<Server, 'id' | 'revision'>

/** Of this process, by server and revision: a registration that was changed may lead to another server. */
export class SeenEras {
  readonly #servers = new Map<string, { readonly revision: number; readonly eras: Set<Era> }>()

  /** It has answered in this era. */
  note({ id, revision }: Seen, era: Era): void {
    const seen = this.#servers.get(id)
    if (seen?.revision === revision) seen.eras.add(era)
    else this.#servers.set(id, { revision, eras: new Set([era]) })
  }

  /** In the order of the eras; none where it has not answered yet. */
  of({ id, revision }: Seen): Era[] {
    const seen = this.#servers.get(id)
    return seen?.revision === revision ? [...seen.eras].sort() : []
  }

  /** The server is gone. */
  forget(serverId: string): void {
    this.#servers.delete(serverId)
  }
}
