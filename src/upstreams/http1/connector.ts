// Opens sockets to one origin: only to addresses that were vetted, in plain text or TLS, never anything but HTTP/1.1.
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { GatewayError } from '../../base/errors.ts'

/** Decides which addresses may be connected to. */
export interface AddressFilter {
  allowsAddress(address: string): boolean
  /** In place of `dns.lookup`; fails where an address is not allowed. The socket connects to what it returns. */
  readonly lookup: LookupFunction
}

export interface ConnectorOptions {
  readonly filter: AddressFilter
  /** For name resolution, TCP and TLS together. */
  readonly timeoutMs: number
}

/** Long streams through silent networks: the system asks the peer whether it is still there. */
const keepAliveProbeMs = 60_000
const sharedBufferBytes = 64 * 1024
/** The largest TLS record (RFC 8446, section 5.1). */
const recordBytes = 16 * 1024

export class Connector {
  readonly timeoutMs: number
  /** What says that a socket may be written to. */
  readonly readyEvent: 'connect' | 'secureConnect'
  /** Why no socket may be opened: a literal address is not looked up, so it is checked here. */
  readonly refusal: GatewayError | undefined
  readonly #lookup: LookupFunction
  /** What any plain socket reads lands here, and is taken out before the next one reads: each read is one call. */
  readonly #sharedBuffer = Buffer.allocUnsafeSlow(sharedBufferBytes)
  readonly #host: string
  readonly #port: number
  /** TLS session of the last verified connection, so that the next handshake is shorter. */
  #session: Buffer | undefined

  /** `url` has been checked by the egress filter; only its origin is used. */
  constructor(url: URL, { filter, timeoutMs }: ConnectorOptions) {
    const secure = url.protocol === 'https:'
    this.timeoutMs = timeoutMs
    this.readyEvent = secure ? 'secureConnect' : 'connect'
    this.#lookup = filter.lookup
    this.#host = url.hostname.replace(/^\[|\]$/g, '')
    this.#port = Number(url.port || (secure ? 443 : 80))
    if (isIP(this.#host) !== 0 && !filter.allowsAddress(this.#host))
      this.refusal = new GatewayError('egress_denied')
  }

  /**
   * A socket that is connecting; throws the `refusal`. Time limit and listeners are the caller's. `onBytes` gets what
   * arrives in place of `data` events; the bytes are overwritten when it has returned.
   */
  open(onBytes: (bytes: Buffer) => void): Socket {
    if (this.refusal) throw this.refusal
    const plain = this.readyEvent === 'connect'
    const buffer = plain ? this.#sharedBuffer : Buffer.allocUnsafeSlow(recordBytes)
    const callback = (bytes: number): boolean => {
      onBytes(buffer.subarray(0, bytes))
      return true
    }
    const options = {
      host: this.#host,
      port: this.#port,
      lookup: this.#lookup,
      onread: { buffer, callback },
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveProbeMs,
    }
    return plain ? connectTcp(options) : this.#openTls(options)
  }

  #openTls(options: {
    readonly host: string
    readonly port: number
    readonly lookup: LookupFunction
  }): Socket {
    const socket = connectTls({
      ...options,
      // An address is verified against the certificate, but is no server name (RFC 6066, section 3).
      ...(isIP(this.#host) === 0 && { servername: this.#host.replace(/\.$/, '') }),
      ...(this.#session && { session: this.#session }),
      ALPNProtocols: ['http/1.1'],
    })
    let session: Buffer | undefined
    let verified = false
    socket.on('session', (fresh: Buffer) => {
      session = fresh
      if (verified) this.#session = fresh
    })
    // A resumed session is not verified again, so only one that was is kept.
    socket.once('secureConnect', () => {
      verified = true
      this.#session = session ?? this.#session
    })
    return socket
  }
}
