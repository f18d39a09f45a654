// What can go wrong between two sockets, apart from what the system says; the codes are for us, not for the public.

export type TransportFault =
  | 'connect_timeout'
  | 'connection_closed'
  | 'body_short'
  | 'invalid_http'
  | 'head_too_large'
  | 'pool_closed'

export class TransportError extends Error {
  readonly code: TransportFault

  constructor(code: TransportFault) {
    super(code)
    this.name = 'TransportError'
    this.code = code
  }
}
