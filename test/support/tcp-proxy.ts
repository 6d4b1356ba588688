/** A TCP proxy on loopback that spoils connections on demand: slow, cut, or silent. */

import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProxyOptions {
  /** Bytes per second towards the server, default unlimited. */
  readonly uploadRate?: number;
  /** Milliseconds added in each direction. */
  readonly delayMs?: number;
}

export class TcpProxy implements AsyncDisposable {
  readonly host: string = '127.0.0.1';
  port = 0;
  /** Connections accepted so far. */
  connections = 0;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #options: ProxyOptions;
  readonly #server: Server;
  readonly #sockets: Set<Socket> = new Set<Socket>();
  #cutAfter: number | undefined;
  #silent = false;
  #uploadRate: number | undefined;

  private constructor(target: { readonly host: string; readonly port: number }, options: ProxyOptions) {
    this.#target = target;
    this.#options = options;
    this.#uploadRate = options.uploadRate;
    this.#server = createServer({ noDelay: true }, (socket) => this.#join(socket));
  }

  static async start(
    target: { readonly host: string; readonly port: number },
    options: ProxyOptions = {},
  ): Promise<TcpProxy> {
    const proxy = new TcpProxy(target, options);
    await new Promise<void>((resolve) => proxy.#server.listen(0, proxy.host, resolve));
    proxy.port = (proxy.#server.address() as AddressInfo).port;
    return proxy;
  }

  /** Breaks the connection that carries the byte number `bytes` towards the server, counted from now over all connections; once. */
  cutAfter(bytes: number): void {
    this.#cutAfter = bytes;
  }

  /** Breaks everything now. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** From now on nothing passes in either direction, but connections stay open. */
  silence(silent: boolean = true): void {
    this.#silent = silent;
  }

  /** @param uploadRate Bytes per second towards the server from now on. */
  throttle(uploadRate: number): void {
    this.#uploadRate = uploadRate;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #join(client: Socket): void {
    this.connections += 1;
    const server = connect({ ...this.#target, noDelay: true });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    void this.#forward(client, server, true);
    void this.#forward(server, client, false);
  }

  async #forward(from: Socket, to: Socket, isUpload: boolean): Promise<void> {
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) await this.#pass(chunk, to, isUpload);
      to.end();
    } catch {
      // The pair is closed by its close events.
    }
  }

  async #pass(chunk: Buffer, to: Socket, isUpload: boolean): Promise<void> {
    while (this.#silent && !to.destroyed) await sleep(20);
    const { delayMs } = this.#options;
    if (delayMs !== undefined) await sleep(delayMs);
    if (isUpload && this.#cutAfter !== undefined) {
      this.#cutAfter -= chunk.length;
      if (this.#cutAfter <= 0) {
        this.#cutAfter = undefined;
        this.cut();
        return;
      }
    }
    if (isUpload && this.#uploadRate !== undefined) await sleep((chunk.length / this.#uploadRate) * 1000);
    if (!to.write(chunk) && !to.destroyed) {
      await new Promise<void>((resolve) => to.once('drain', resolve).once('close', resolve));
    }
  }
}
