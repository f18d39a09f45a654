// Says whether what is shown follows the gateway, and lets it stand still.
import type { LiveState } from '../app/live.ts'

const texts: Readonly<Record<LiveState, string>> = {
  connecting: 'Connecting…',
  live: 'Live',
  reconnecting: 'Reconnecting…',
  paused: 'Paused',
}

interface LiveMarkProps {
  readonly state: LiveState
  /** Absent where it cannot be paused. */
  readonly onPause?: (isPaused: boolean) => void
}

export function LiveMark({ state, onPause }: LiveMarkProps) {
  return (
    <span className="row live">
      <span className={`badge ${state === 'live' ? 'success' : 'quiet'}`} role="status">
        {texts[state]}
      </span>
      {onPause && (
        <button type="button" onClick={() => onPause(state !== 'paused')}>
          {state === 'paused' ? 'Go on' : 'Pause'}
        </button>
      )}
    </span>
  )
}
