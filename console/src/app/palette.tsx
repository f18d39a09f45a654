// Going anywhere by a few letters: Ctrl or Cmd and K.
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { serversQuery } from '../api/lists.ts'

interface Goal {
  readonly title: string
  readonly go: () => void
}

interface PaletteProps {
  readonly places: readonly { readonly to: string; readonly title: string }[]
}

export function Palette({ places }: PaletteProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [isOpen, setOpen] = useState(false)
  useEffect(() => {
    const open = (event: KeyboardEvent): void => {
      if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey)) return
      event.preventDefault()
      dialog.current?.showModal()
      setOpen(true)
    }
    addEventListener('keydown', open)
    return () => removeEventListener('keydown', open)
  }, [])
  const close = (): void => dialog.current?.close()
  return (
    <dialog ref={dialog} onClose={() => setOpen(false)} aria-label="Go to">
      {isOpen && <Goals places={places} onGone={close} />}
    </dialog>
  )
}

function Goals({ places, onGone }: PaletteProps & { readonly onGone: () => void }) {
  const navigate = useNavigate()
  const servers = useQuery(serversQuery)
  const [text, setText] = useState('')
  const goals: readonly Goal[] = [
    ...places.map(({ to, title }) => ({ title, go: () => void navigate({ to }) })),
    ...(servers.data ?? []).map(({ name }) => ({
      title: `Server ${name}`,
      go: () => void navigate({ to: '/servers/$name', params: { name } }),
    })),
    { title: `Calls of the tool ${text}`, go: () => void navigate({ to: '/calls', search: { tool: text } }) },
  ]
  const found = goals.filter(({ title }) => title.toLowerCase().includes(text.toLowerCase())).slice(0, 8)
  const go = (goal: Goal | undefined): void => {
    // The servers may be on their way yet.
    if (!goal) return
    goal.go()
    onGone()
  }
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault()
        go(found[0])
      }}
    >
      <input
        aria-label="Where to"
        placeholder="Where to?"
        value={text}
        onChange={(event) => setText(event.target.value)}
        autoFocus
      />
      <ul className="goals">
        {found.map((goal) => (
          <li key={goal.title}>
            <button type="button" onClick={() => go(goal)}>
              {goal.title}
            </button>
          </li>
        ))}
      </ul>
    </form>
  )
}
