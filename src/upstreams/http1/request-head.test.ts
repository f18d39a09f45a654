// Guarantees of the request's head: it is written as HTTP wants it, or not at all.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { constantHead, headerLine } from './request-head.ts'

const place = (url: string) => {
  const { host, pathname, search } = new URL(url)
  return { host, target: pathname + search }
}

describe('a header', () => {
  test.each([
    ['mcp-name', 'a\r\nX-Evil: 1'],
    ['mcp-name', 'a\nb'],
    ['mcp-name', 'a\rb'],
    ['mcp-name', 'a\0b'],
    ['mcp-name', '日本'],
    ['mcp-name', 'č\u010a'],
    ['mcp-name', '\u010d\u010a'],
    ['mcp-name', '\x7f'],
    ['mcp-a b', 'x'],
    ['mcp-a:', 'x'],
    ['mcp-a\r\n', 'x'],
    ['mcp-ä', 'x'],
    ['', 'x'],
  ])('%j: %j is not written', (name, value) => {
    expect(headerLine(name, value)).toBeUndefined()
    expect(constantHead('POST', place('http://a/'), [[name, value]])).toBeUndefined()
  })

  test('is one line in Latin-1, whatever its name and value', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (name, value) => {
        const line = headerLine(name, value)
        if (line === undefined) return
        expect(line).toBe(`${name}: ${value}\r\n`)
        // eslint-disable-next-line no-control-regex
        expect(line.slice(0, -2)).toMatch(/^[^\0\r\n\u0100-\uffff]*$/)
      }),
    )
  })
})

describe('the constant head', () => {
  test.each([
    ['http://example.com/mcp', 'example.com', '/mcp'],
    ['http://example.com:80/mcp', 'example.com', '/mcp'],
    ['https://example.com:443', 'example.com', '/'],
    ['http://example.com:443/', 'example.com:443', '/'],
    ['https://[2606:4700::1111]/a?b=c%26', '[2606:4700::1111]', '/a?b=c%26'],
    ['https://[2606:4700::1111]:8443/', '[2606:4700::1111]:8443', '/'],
  ])('of %s names host %s and asks for %s', (url, host, target) => {
    expect(constantHead('GET', place(url), [['x-own', 'yes']])).toBe(
      `GET ${target} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\nx-own: yes\r\n`,
    )
  })

  test.each(['', 'mcp', '/a b', '/a\r\nx', '/ä', '*'])('is not written for the target %j', (target) => {
    expect(constantHead('POST', { host: 'a', target }, [])).toBeUndefined()
  })
})
