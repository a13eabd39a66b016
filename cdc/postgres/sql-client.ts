/** A connection for occasional questions: made when first needed, made again after it was lost. Questions run one after the other. */
import type pg from 'pg';
import type { ClientBase } from 'pg';
import { connectText, sqlstateOf } from './connect.ts';
import type { ServerAddress } from './server-address.ts';

export interface Question {
  readonly text: string;
  readonly values?: readonly unknown[];
}

export class SqlClient {
  readonly #address: ServerAddress;
  readonly #applicationName: string;
  readonly #setup: string | undefined;
  #client: Promise<pg.Client> | undefined;
  /** Connections that the server has ended: the next question opens another one rather than fail. */
  readonly #ended = new WeakSet<pg.Client>();
  #tail: Promise<unknown> = Promise.resolve();

  constructor(address: ServerAddress, applicationName: string, setup?: string) {
    this.#address = address;
    this.#applicationName = applicationName;
    this.#setup = setup;
  }

  /** Rows as arrays of the server's own text. */
  async rows(question: Question): Promise<readonly (readonly (string | null)[])[]> {
    return this.use(async (client) => {
      const { rows } = await client.query<(string | null)[]>({ text: question.text, values: [...(question.values ?? [])], rowMode: 'array' });
      return rows;
    });
  }

  /** Holds the connection for several statements. */
  use<T>(work: (client: ClientBase) => Promise<T>): Promise<T> {
    const result = this.#tail.then(async () => {
      const client = await this.#connected();
      try {
        return await work(client);
      } catch (error) {
        const state = sqlstateOf(error);
        if (state === undefined || state.startsWith('57P') || state.startsWith('08')) await this.close();
        else await client.query('ROLLBACK').catch(() => undefined);
        throw error;
      }
    });
    this.#tail = result.catch(() => undefined);
    return result;
  }

  async #connected(): Promise<pg.Client> {
    this.#client ??= connectText(this.#address, this.#applicationName).then(async (client) => {
      for (const event of ['error', 'end'] as const) client.once(event, () => this.#ended.add(client));
      if (this.#setup !== undefined) await client.query(this.#setup);
      return client;
    });
    try {
      const client = await this.#client;
      if (!this.#ended.has(client)) return client;
      await this.close();
      return await this.#connected();
    } catch (error) {
      this.#client = undefined;
      throw error;
    }
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.then((connected) => connected.end()).catch(() => undefined);
  }
}
