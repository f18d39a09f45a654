// The wire of a channel: whole messages out, and news of how the client takes them.

/** Why a connection is closed from our side. */
export type Closing = 'credential' | 'session' | 'idle' | 'age' | 'shutdown' | 'binary'

export interface LineListener {
  /** The client has caught up after `send` returned false. */
  drained(): void
  /** The connection is over, whoever ended it. */
  gone(): void
}

/** One connection. Calls after its end are ignored. */
export interface Line {
  /** Tells `listener` of the connection from now on; called once, before anything is sent. */
  listen(listener: LineListener): void
  /** Sends one whole message. False while the client reads too slowly. */
  send(bytes: Uint8Array): boolean
  /** Bytes that wait for the client to read. */
  readonly waitingBytes: number
  /** Shows that we are there. False where the client was asked before and has not answered. */
  keepAlive(): boolean
  /** Stops reading further messages for a while; false where the transport cannot. */
  pause(): boolean
  resume(): void
  /** Ends the connection in good order, and soon where the client does not join in. */
  close(why: Closing): void
  /** Cuts the connection off; what waits is lost. */
  terminate(): void
}
