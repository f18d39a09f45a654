// The list against an array, and that removed nodes hold nothing.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LinkedList, type ListNode } from './linked-list.ts'

test('adding and removing in any order gives what an array gives', () => {
  const steps = fc.array(fc.oneof(fc.constant('add' as const), fc.constant('take' as const), fc.nat(50)), {
    maxLength: 200,
  })
  fc.assert(
    fc.property(steps, (sequence) => {
      const list = new LinkedList<number>()
      const nodes: ListNode<number>[] = []
      let model: number[] = []
      for (const [value, step] of sequence.entries()) {
        if (step === 'add') {
          nodes.push(list.add(value))
          model.push(value)
        } else if (step === 'take') expect(list.takeFirst()).toBe(model.shift())
        else {
          const node = nodes[step]
          if (!node) continue
          model = model.filter((member) => member !== node.value)
          list.remove(node)
          expect([node.value, node.previous, node.next]).toEqual([undefined, undefined, undefined])
        }
        expect([...list]).toEqual(model)
        expect(list.size).toBe(model.length)
      }
    }),
  )
})

test('members may be removed while the list is read', () => {
  const list = new LinkedList<number>()
  const nodes = [1, 2, 3].map((value) => list.add(value))
  const seen: number[] = []
  for (const value of list) {
    seen.push(value)
    for (const node of nodes) list.remove(node)
  }
  expect(seen).toEqual([1, 2, 3])
  expect(list.size).toBe(0)
})
