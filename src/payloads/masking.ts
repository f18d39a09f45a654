// What is left of arguments and results before they are kept: secrets are taken out, and no more than so many bytes stay.
import { RE2JS } from 're2js'
import { compileGlob, type Glob } from '../base/glob.ts'
import type { Capture } from '../registry/capture.ts'
import { masked, maskSecrets, namesSecret } from './secret-shapes.ts'

/** Text is read a little beyond what is kept, so that a secret which is cut in two is still seen as one. */
const marginChars = 8192
/** How deep values may stand, and how deep JSON in texts of JSON. */
const maxDepth = 64
const maxTextDepth = 4
const maxNameChars = 200

/** How the payloads of one registration are masked; compiled once. */
export class Masking {
  readonly #maxBytes: number
  readonly #tools: readonly Glob[]
  readonly #names: readonly Glob[]
  readonly #pattern: RE2JS | undefined

  constructor({
    tools,
    mask,
    maskPatterns,
    maxBytes,
  }: Pick<Capture, 'tools' | 'mask' | 'maskPatterns' | 'maxBytes'>) {
    this.#maxBytes = maxBytes
    this.#tools = tools.map(compileGlob)
    this.#names = mask.map((pattern) => compileGlob(pattern.toLowerCase()))
    const patterns = maskPatterns.map((pattern) => `(?:${pattern})`)
    this.#pattern = patterns.length > 0 ? RE2JS.compile(patterns.join('|')) : undefined
  }

  /** Whether the calls of this tool are kept. */
  keeps(tool: string): boolean {
    return this.#tools.some((glob) => glob.matches(tool))
  }

  /** A copy of a JSON value that may be kept, of at most about `maxBytes` as JSON; `cut`: something was left out. */
  apply(value: unknown): { readonly value: unknown; readonly cut: boolean } {
    const copy = new Copy(this, this.#maxBytes)
    return { value: copy.of(value, { depth: 0, textDepth: 0 }), cut: copy.cut }
  }

  isSecret(name: string, value: unknown): boolean {
    const small = name.toLowerCase()
    return this.#names.some((glob) => glob.matches(small)) || namesSecret(small, value)
  }

  maskText(text: string): string {
    const rest = maskSecrets(text)
    return this.#pattern ? this.#pattern.matcher(rest).replaceAll(masked) : rest
  }
}

interface Place {
  readonly depth: number
  /** In how many texts of JSON it stands. */
  readonly textDepth: number
}

/** One copy: what it may still have, in bytes of JSON. */
class Copy {
  readonly #masking: Masking
  #left: number
  cut = false

  constructor(masking: Masking, maxBytes: number) {
    this.#masking = masking
    this.#left = maxBytes
  }

  of(value: unknown, place: Place): unknown {
    if (typeof value === 'string') return this.#text(value, place)
    if (typeof value !== 'object' || value === null) {
      this.#left -= JSON.stringify(value).length
      return value
    }
    if (place.depth >= maxDepth) return this.#leaveOut('what stands deeper')
    const inside = { ...place, depth: place.depth + 1 }
    this.#left -= 2
    return Array.isArray(value) ? this.#items(value, inside) : this.#members(value, inside)
  }

  #items(items: readonly unknown[], place: Place): unknown[] {
    const kept: unknown[] = []
    for (const item of items) {
      if (this.#isFull()) break
      this.#left -= 1
      kept.push(this.of(item, place))
    }
    return kept
  }

  #members(value: object, place: Place): object {
    const kept: [string, unknown][] = []
    for (const [name, inner] of Object.entries(value)) {
      if (this.#isFull()) break
      const shown = this.#name(name)
      this.#left -= jsonBytes(shown) + 2
      if (this.#masking.isSecret(name, inner)) kept.push([shown, this.#mask(inner)])
      else if (isBinary(name, inner))
        kept.push([shown, this.#leaveOut(`${inner.length} characters of base64`)])
      else kept.push([shown, this.of(inner, place)])
    }
    return Object.fromEntries(kept)
  }

  /** A name may be anything, a secret too. */
  #name(name: string): string {
    if (name.length > maxNameChars) this.cut = true
    return this.#masking.maskText(name.slice(0, maxNameChars))
  }

  #mask(value: unknown): unknown {
    if (value === null) return null
    this.#left -= masked.length + 2
    return masked
  }

  #text(text: string, place: Place): string {
    const inner = this.#json(text, place)
    if (inner !== undefined) return inner
    const whole = text.slice(0, Math.max(0, this.#left) + marginChars)
    return this.#shorten(this.#masking.maskText(whole), whole.length < text.length)
  }

  /** A text that is JSON, as results have it beside structured content; undefined where it is none. */
  #json(text: string, { depth, textDepth }: Place): string | undefined {
    if (!/^\s{0,100}[[{]/.test(text)) return undefined
    if (text.length > this.#left + marginChars) return this.#leaveOut(`JSON of ${text.length} characters`)
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return undefined
    }
    if (textDepth >= maxTextDepth) return this.#leaveOut('JSON in JSON')
    return JSON.stringify(this.of(value, { depth: depth + 1, textDepth: textDepth + 1 }))
  }

  #shorten(text: string, isCut: boolean): string {
    let kept = text
    for (let bytes = jsonBytes(kept); bytes > Math.max(2, this.#left) && kept !== ''; bytes = jsonBytes(kept))
      kept = kept.slice(
        0,
        Math.min(kept.length - 1, Math.floor((kept.length * Math.max(0, this.#left)) / bytes)),
      )
    this.#left -= jsonBytes(kept)
    if (!isCut && kept.length === text.length) return kept
    this.cut = true
    return `${kept}…`.toWellFormed()
  }

  #leaveOut(what: string): string {
    this.cut = true
    this.#left -= what.length + 4
    return `[${what}]`
  }

  #isFull(): boolean {
    if (this.#left > 0) return false
    this.cut = true
    return true
  }
}

const jsonBytes = (text: string): number => Buffer.byteLength(JSON.stringify(text))

/** Images, audio and binary resources (MCP, `ImageContent`, `AudioContent`, `BlobResourceContents`). */
const isBinary = (name: string, value: unknown): value is string =>
  (name === 'data' || name === 'blob') &&
  typeof value === 'string' &&
  value.length > 256 &&
  /^[A-Za-z0-9+/]{256}/.test(value)
