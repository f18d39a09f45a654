// What people are told of a server's eras is what it has answered in, since it was registered as it is.
import { expect, test } from 'vitest'
import { SeenEras } from './seen-eras.ts'

test('eras add up, end with the registration, and are told in their order', () => {
  const seen = new SeenEras()
  const server = { id: 'srv_1', revision: 1 }
  expect(seen.of(server)).toEqual([])
  seen.note(server, 'modern')
  seen.note(server, 'legacy')
  seen.note(server, 'modern')
  expect(seen.of(server)).toEqual(['legacy', 'modern'])
  const changed = { ...server, revision: 2 }
  expect(seen.of(changed)).toEqual([])
  seen.note(changed, 'modern')
  expect(seen.of(changed)).toEqual(['modern'])
  expect(seen.of({ id: 'srv_2', revision: 2 })).toEqual([])
  seen.forget('srv_1')
  expect(seen.of(changed)).toEqual([])
})
