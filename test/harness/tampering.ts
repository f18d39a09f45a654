// What becomes of a sealed text in the hands of somebody who wants another one.
import fc from 'fast-check'

const letters = 'ABCXYZabcxyz0189-_.+/= '.split('')
/** One change of a text. Some leave it as it was. */
const edit = fc.oneof(
  fc.tuple(fc.nat(), fc.constantFrom(...letters)).map(([at, letter]) => (text: string) => {
    const place = at % text.length
    return text.slice(0, place) + letter + text.slice(place + 1)
  }),
  fc.tuple(fc.nat(), fc.constantFrom(...letters, '\n', '\0', 'é')).map(([at, letter]) => (text: string) => {
    const place = at % (text.length + 1)
    return text.slice(0, place) + letter + text.slice(place)
  }),
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 40 })).map(([at, count]) => (text: string) => {
    const place = at % text.length
    return text.slice(0, place) + text.slice(place + count)
  }),
  fc.nat().map((at) => (text: string) => text.slice(0, at % text.length)),
  fc.nat().map((at) => (text: string) => text.slice(at % text.length) + text.slice(0, at % text.length)),
  fc.constantFrom<(text: string) => string>(
    (text) => text + text,
    (text) => text.toUpperCase(),
    (text) => text.toLowerCase(),
    (text) => `${text}=`,
    (text) => text.replaceAll('-', '+').replaceAll('_', '/'),
    (text) => text.split('.').toReversed().join('.'),
    () => '',
  ),
)

/** One to three changes of a text. */
export const tampering = fc.array(edit, { minLength: 1, maxLength: 3 }).map(
  (edits) =>
    (text: string): string =>
      edits.reduce((rest, change) => (rest === '' ? rest : change(rest)), text),
)

/** Another text of the same length. The last letters of base 64 may carry nothing, so one before them is changed. */
export const forged = (text: string): string =>
  `${text.slice(0, -5)}${text.at(-5) === 'A' ? 'B' : 'A'}${text.slice(-4)}`
