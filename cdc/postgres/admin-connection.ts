/** One connection for the control's own statements on one server: opened at first use, opened again after a loss, used by one caller at a time. */
import type pg from 'pg';
import { connectServer } from './connect.ts';
import type { ServerAddress } from './server-address.ts';

export class AdminConnection {
  readonly #address: ServerAddress;
  readonly #applicationName: string;
  #client: pg.Client | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(address: ServerAddress, applicationName: string) {
    this.#address = address;
    this.#applicationName = applicationName;
  }

  /** Runs `work` alone on the connection. A failed transaction is rolled back; a lost connection is given up. */
  use<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const result = this.#turn.then(() => this.#run(work));
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** The same inside one transaction. */
  transaction<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    return this.use(async (client) => {
      await client.query('BEGIN');
      try {
        const value = await work(client);
        await client.query('COMMIT');
        return value;
      } catch (error) {
        await client.query('ROLLBACK').catch(() => this.#drop());
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    await this.#turn.catch(() => undefined);
    await this.#client?.end().catch(() => undefined);
    this.#client = undefined;
  }

  async #run<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = (this.#client ??= await this.#connect());
    try {
      return await work(client);
    } catch (error) {
      // A server error leaves the connection usable; anything else (no SQLSTATE) is about the connection itself.
      if (!(error instanceof Error && 'severity' in error) || isFatal(error)) this.#drop();
      throw error;
    }
  }

  async #connect(): Promise<pg.Client> {
    const client = await connectServer(this.#address, { applicationName: this.#applicationName });
    client.on('end', () => {
      if (this.#client === client) this.#client = undefined;
    });
    return client;
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.end().catch(() => undefined);
  }
}

function isFatal(error: Error & { severity?: unknown }): boolean {
  return error.severity === 'FATAL' || error.severity === 'PANIC';
}
