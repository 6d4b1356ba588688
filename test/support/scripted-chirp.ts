/** A server that says what the test wants, right or wrong: for everything a real one cannot be made to do. */

import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

/** Gets each request line after the login; answers through the socket. */
export type Script = (line: string, socket: Socket, received: () => Buffer) => void;

export class ScriptedChirp implements AsyncDisposable {
  readonly host: string = '127.0.0.1';
  port = 0;
  /** Everything each connection sent after its login line. */
  readonly received: Buffer[] = [];
  readonly #server: Server;
  readonly #sockets: Set<Socket> = new Set<Socket>();

  private constructor(script: Script, login: string) {
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket, script, login));
  }

  /** @param login What is answered to the first line. */
  static async start(script: Script, login: string = 'yes\nyes\nyes\nhostname\nlocalhost\n'): Promise<ScriptedChirp> {
    const server = new ScriptedChirp(script, login);
    await new Promise<void>((resolve) => server.#server.listen(0, server.host, resolve));
    server.port = (server.#server.address() as AddressInfo).port;
    return server;
  }

  get connections(): number {
    return this.received.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket, script: Script, login: string): void {
    const index = this.received.push(Buffer.alloc(0)) - 1;
    let pending = Buffer.alloc(0);
    let isLoggedIn = false;
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      if (isLoggedIn) this.received[index] = Buffer.concat([this.received[index] ?? pending, chunk]);
      pending = Buffer.concat([pending, chunk]);
      for (let end = pending.indexOf(10); end >= 0 && !socket.destroyed; end = pending.indexOf(10)) {
        const line = pending.subarray(0, end).toString('latin1');
        pending = pending.subarray(end + 1);
        if (isLoggedIn) {
          script(line, socket, () => pending);
        } else {
          isLoggedIn = true;
          this.received[index] = Buffer.from(pending);
          socket.write(login);
        }
      }
    });
  }
}
