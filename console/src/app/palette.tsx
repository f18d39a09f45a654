// Going anywhere by a few letters: Ctrl or Cmd and K.
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef, useState, type KeyboardEvent } from 'react'
import { accountsQuery, serversQuery } from '../api/lists.ts'

interface Goal {
  readonly title: string
  readonly go: () => void
}

/** Shown at once. */
const most = 8

interface PaletteProps {
  readonly places: readonly { readonly to: string; readonly title: string }[]
}

export function Palette({ places }: PaletteProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [isOpen, setOpen] = useState(false)
  useEffect(() => {
    const open = (event: globalThis.KeyboardEvent): void => {
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
  const accounts = useQuery(accountsQuery)
  const [text, setText] = useState('')
  const [chosen, setChosen] = useState(0)
  const goals: readonly Goal[] = [
    ...places.map(({ to, title }) => ({ title, go: () => void navigate({ to }) })),
    { title: 'Your password and passkeys', go: () => void navigate({ to: '/me' }) },
    ...(servers.data ?? []).map(({ name }) => ({
      title: `Server ${name}`,
      go: () => void navigate({ to: '/servers/$name', params: { name } }),
    })),
    ...(accounts.data ?? []).map(({ id, name }) => ({
      title: `Account ${name}`,
      go: () => void navigate({ to: '/accounts/$id', params: { id } }),
    })),
    { title: `Calls of the tool ${text}`, go: () => void navigate({ to: '/calls', search: { tool: text } }) },
    { title: `The call ${text}`, go: () => void navigate({ to: '/calls/$id', params: { id: text } }) },
  ]
  const found = goals.filter(({ title }) => title.toLowerCase().includes(text.toLowerCase())).slice(0, most)
  const go = (goal: Goal | undefined): void => {
    // The servers may be on their way yet.
    if (!goal) return
    goal.go()
    onGone()
  }
  const move = (event: KeyboardEvent<HTMLInputElement>): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step === undefined || found.length === 0) return
    event.preventDefault()
    setChosen((chosen + step + found.length) % found.length)
  }
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault()
        go(found[chosen])
      }}
    >
      <input
        aria-label="Where to"
        placeholder="Where to?"
        value={text}
        onChange={(event) => {
          setText(event.target.value)
          setChosen(0)
        }}
        onKeyDown={move}
        autoFocus
      />
      <ul className="goals">
        {found.map((goal, at) => (
          <li key={goal.title}>
            <button type="button" className={at === chosen ? 'chosen' : undefined} onClick={() => go(goal)}>
              {goal.title}
            </button>
          </li>
        ))}
      </ul>
      <p className="quiet">Arrows choose, Enter goes there, Escape closes.</p>
    </form>
  )
}
