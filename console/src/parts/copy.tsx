// A text to take along, and a button that does it.
import { useState } from 'react'

export function Copy({ text }: { readonly text: string }) {
  const [said, setSaid] = useState('')
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setSaid('Copied'),
      () => setSaid('The browser does not let this page copy; select the text instead.'),
    )
  return (
    <div className="copy">
      <pre tabIndex={0}>{text}</pre>
      <button type="button" onClick={() => void copy()}>
        Copy
      </button>
      <span role="status">{said}</span>
    </div>
  )
}
