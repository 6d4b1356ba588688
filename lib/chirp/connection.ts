/** One connection: requests out in order, replies in in order, and the decision when to give it up. */

import type { Socket } from 'node:net';
import { ChirpConnectionError, ChirpError } from '../errors.ts';
import type { Command } from './commands/command.ts';
import { connectionError, lossOf } from './connection-error.ts';
import { BODY_SLICE, type ConnectionLimits } from './connection-limits.ts';
import { Exchange, type Wire } from './exchange.ts';
import { StallClock } from './stall-clock.ts';
import { BodySender } from './transfer/sender.ts';
import type { ByteSource } from './transfer/source.ts';
import { DropConnection } from './wire/conversation.ts';
import { ReplyReader } from './wire/reader.ts';
import { protocolError } from './wire/replies.ts';

export class Connection {
  readonly host: string;
  readonly port: number;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #limits: ConnectionLimits;
  readonly #reader = new ReplyReader();
  readonly #waiting: Exchange<unknown>[] = [];
  readonly #sent: Exchange<unknown>[] = [];
  readonly #clock: StallClock;
  readonly #keepAlive: NodeJS.Timeout | undefined;
  readonly #wire: Wire;
  #resting: (() => void)[] = [];
  #dead = false;
  #paused = false;
  #advancing = false;

  /** Takes over a connected socket, whose bytes must be handed to `receive`. */
  constructor(socket: Socket, host: string, port: number, limits: ConnectionLimits) {
    this.host = host;
    this.port = port;
    this.#socket = socket;
    this.#limits = limits;
    this.#clock = new StallClock((ms) => this.#stalled(ms));
    this.#wire = this.#makeWire();
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', (error: NodeJS.ErrnoException) => this.#fail(connectionError(this, error)));
    socket.on('end', () => this.#fail(this.#lost('the server closed the connection')));
    socket.on('close', () => this.#fail(this.#lost('the connection was closed')));
    if (limits.keepAliveMs > 0) {
      this.#keepAlive = setInterval(() => this.#beat(), limits.keepAliveMs);
      this.#keepAlive.unref();
    }
    socket.unref();
  }

  /** New requests are worth trying. */
  get isUsable(): boolean {
    return !this.#dead;
  }

  /**
   * Sends a command as soon as its turn comes. An aborted request that has not been sent never will be; one in the middle of a body ends the connection, because the
   * rest of the body could only be mistaken for requests or replies; of any other the reply is dropped when it comes.
   */
  request<T>(command: Command<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    if (this.#dead) return Promise.reject(this.#lost('the connection has been closed'));
    const exchange = new Exchange(command);
    this.#waiting.push(exchange as Exchange<unknown>);
    if (signal !== undefined) this.#listen(exchange as Exchange<unknown>, signal);
    this.#sendWaiting();
    return exchange.promise;
  }

  /** Bytes from the socket, valid only during the call. */
  receive(bytes: Buffer): void {
    if (this.#dead) return;
    this.#reader.push(bytes);
    this.#advance();
    this.#reader.detach();
    if (!this.#dead && this.#reader.size > 0 && this.#sent[0]?.isWaitingForUs === true && !this.#paused) {
      this.#paused = true;
      this.#socket.pause();
    }
  }

  /** Ends the connection at once; outstanding requests fail with `error`. */
  destroy(error: ChirpConnectionError): void {
    this.#fail(error);
  }

  /** Resolves when no request is outstanding, or the connection is gone. */
  idle(): Promise<void> {
    if (this.#dead || this.#sent.length + this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#resting.push(resolve));
  }

  #makeWire(): Wire {
    return {
      reader: this.#reader,
      send: (data) => this.#write(data),
      upload: (source: ByteSource, length, onSent, onEnd) =>
        new BodySender(this.#socket, source, length, {
          onSent: (sent) => {
            this.#touch();
            onSent(sent);
          },
          onEnd,
        }),
      resume: () => this.#resume(),
      fail: (error) => this.#fail(error),
    };
  }

  #listen(exchange: Exchange<unknown>, signal: AbortSignal): void {
    const onAbort = (): void => this.#abandon(exchange, signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const stop = (): void => signal.removeEventListener('abort', onAbort);
    exchange.promise.then(stop, stop);
  }

  #abandon(exchange: Exchange<unknown>, reason: unknown): void {
    exchange.reject(reason);
    const index = this.#waiting.indexOf(exchange);
    if (index >= 0) {
      this.#waiting.splice(index, 1);
      this.#sendWaiting();
      return;
    }
    const hasBody = exchange.command.flow !== undefined || exchange.command.body !== undefined;
    if (hasBody) this.#fail(this.#lost('a transfer on this connection was aborted'));
  }

  #sendWaiting(): void {
    while (
      !this.#dead &&
      this.#sent.length < this.#limits.maxPipelined &&
      this.#sent.at(-1)?.command.flow !== 'gated'
    ) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      next.sent = true;
      this.#sent.push(next);
      if (this.#sent.length === 1) {
        this.#socket.ref();
        this.#touch();
      }
      if (next.command.line.length > 0) this.#write(next.command.line);
      if (next.command.body !== undefined) this.#write(next.command.body);
      // A conversation may begin with something to say.
      if (next.command.line.length === 0) this.#advance();
    }
  }

  #write(data: Uint8Array): void {
    for (let at = 0; at < data.length && !this.#dead; at += BODY_SLICE) {
      this.#socket.write(data.subarray(at, at + BODY_SLICE), () => this.#touch());
    }
  }

  #advance(): void {
    if (this.#advancing || this.#dead) return;
    this.#advancing = true;
    try {
      this.#touch();
      if (this.#sent[0]?.isUploading === true && this.#reader.size > 0) this.#sent[0].interruptUpload();
      while (!this.#dead && this.#advanceHead()) this.#sendWaiting();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#advancing = false;
    }
    if (this.#sent.length === 0 && !this.#dead) this.#rest();
  }

  /** True when the oldest request has been answered and the next one may go on. */
  #advanceHead(): boolean {
    const head = this.#sent[0];
    if (head === undefined) {
      if (this.#reader.size > 0) throw protocolError('the server sends what nobody asked for');
      return false;
    }
    try {
      if (head.advance(this.#wire) !== 'done') return false;
    } catch (error) {
      if (!(error instanceof ChirpError)) throw error;
      head.reject(error);
    }
    this.#sent.shift();
    this.#touch();
    return true;
  }

  #rest(): void {
    this.#clock.stop();
    this.#socket.unref();
    for (const resolve of this.#resting.splice(0)) resolve();
  }

  #resume(): void {
    if (this.#dead) return;
    this.#advance();
    if (this.#paused && !this.#dead && this.#sent[0]?.isWaitingForUs !== true) {
      this.#paused = false;
      this.#socket.resume();
    }
  }

  #touch(): void {
    const head = this.#sent[0];
    if (head === undefined || this.#dead) return;
    this.#clock.start(head.slow ? this.#limits.slowTimeoutMs : this.#limits.stallTimeoutMs);
  }

  #stalled(ms: number): void {
    if (this.#sent[0]?.isWaitingForUs === true) {
      this.#touch();
      return;
    }
    const message = `chirp://${this.host}:${this.port} has been silent for ${ms} ms during ${this.#sent[0]?.command.name}`;
    this.#fail(connectionError(this, { code: 'ETIMEDOUT', message }));
  }

  /** An empty line gets no answer but restarts the server's idle timer. Never sent while a body might be under way. */
  #beat(): void {
    if (!this.#dead && this.#sent.length === 0) this.#socket.write('\n');
  }

  #lost(message: string, unsent: boolean = false): ChirpConnectionError {
    return connectionError(
      this,
      { code: 'ECONNRESET', message: `chirp://${this.host}:${this.port}: ${message}` },
      unsent,
    );
  }

  /** The head gets the reason itself, the others learn that the connection is lost, and whether they may be repeated. */
  #fail(reason: unknown): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#clock.stop();
    clearInterval(this.#keepAlive);
    this.#socket.destroy();
    for (const resolve of this.#resting.splice(0)) resolve();
    const error = reason instanceof DropConnection ? reason.cause : reason;
    const outstanding = [...this.#sent.splice(0), ...this.#waiting.splice(0)];
    outstanding.forEach((exchange, index) => {
      const isOwn = index === 0 && !(error instanceof ChirpConnectionError);
      exchange.kill(isOwn ? error : lossOf(this, error, !exchange.sent || exchange.command.idempotent));
    });
  }
}
