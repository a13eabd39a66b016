/** Stands before a server and fails as networks do: connections break, answers are lost, nothing comes through, nobody is there. */
import * as net from 'node:net';

interface Pair { readonly client: net.Socket; readonly server: net.Socket }

export class TcpForwarder implements AsyncDisposable {
  readonly #to: { readonly host: string; readonly port: number };
  readonly #pairs = new Set<Pair>();
  #listener: net.Server | undefined;
  #port = 0;
  #isPaused = false;
  #areAnswersLost = false;
  /** Of the next bytes from a client so many come through, before its connection breaks. */
  #tearsAfter: number | undefined;

  private constructor(to: { readonly host: string; readonly port: number }) {
    this.#to = to;
  }

  static async start(to: { readonly host: string; readonly port: number }): Promise<TcpForwarder> {
    const forwarder = new TcpForwarder(to);
    await forwarder.open();
    return forwarder;
  }

  get port(): number {
    return this.#port;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Listens, on the port that it had before. */
  async open(): Promise<void> {
    const listener = net.createServer((client) => this.#forward(client));
    this.#listener = listener;
    await new Promise<void>((resolve, reject) => listener.once('error', reject).listen(this.#port, '127.0.0.1', resolve));
    this.#port = (listener.address() as net.AddressInfo).port;
  }

  /** Nobody is there any more. */
  async close(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    const closed = new Promise((resolve) => (listener ? listener.close(resolve) : resolve(undefined)));
    this.cut();
    await closed;
  }

  /** Breaks every connection; new ones are taken. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
    this.#areAnswersLost = false;
  }

  /** From now on what the server answers is thrown away, until the connections are cut. */
  loseAnswers(): void {
    this.#areAnswersLost = true;
  }

  /** The connection that sends next breaks in the middle of what it sends. */
  tear(afterBytes: number): void {
    this.#tearsAfter = afterBytes;
  }

  /** Connections stay, and are taken, but nothing comes through. */
  pause(): void {
    this.#isPaused = true;
    for (const { client, server } of this.#pairs) {
      client.pause();
      server.pause();
    }
  }

  resume(): void {
    this.#isPaused = false;
    for (const { client, server } of this.#pairs) {
      client.resume();
      server.resume();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #forward(client: net.Socket): void {
    const server = net.connect(this.#to.port, this.#to.host);
    const pair = { client, server };
    this.#pairs.add(pair);
    for (const [one, other] of [[client, server], [server, client]] as const) {
      one.setNoDelay(true);
      one.on('data', (bytes) => this.#pass(bytes, one, other, one === client));
      one.on('error', () => undefined);
      one.on('close', () => {
        this.#pairs.delete(pair);
        other.destroy();
      });
      other.on('drain', () => {
        if (!this.#isPaused) one.resume();
      });
      if (this.#isPaused) one.pause();
    }
  }

  #pass(bytes: Buffer, from: net.Socket, to: net.Socket, isFromClient: boolean): void {
    if (!isFromClient && this.#areAnswersLost) return;
    if (isFromClient && this.#tearsAfter !== undefined) {
      to.end(bytes.subarray(0, Math.min(this.#tearsAfter, bytes.length - 1)), () => from.destroy());
      this.#tearsAfter = undefined;
      return;
    }
    if (!to.write(bytes)) from.pause();
  }
}
