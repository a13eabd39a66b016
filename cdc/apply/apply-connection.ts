/**
 * The applier's connection to the target. Statements are pipelined: they are on the wire before the first is answered.
 *
 * The session is marked so that the fence and the guard let it pass (`causeway.applier`), has replica role where the target
 * grants it (RULES 30), waits for locks only a bounded time (RULES 22), and keeps plans that look rows up by key.
 */
import type pg from 'pg';
import { connectText, sqlstateOf } from '../postgres/connect.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import { readText } from './row-text.ts';
import type { SetStatement } from './statements.ts';

export interface ApplySession {
  readonly token: bigint;
  readonly synchronousCommit: 'on' | 'off' | 'local' | 'remote_write' | 'remote_apply';
  readonly lockTimeoutMs: number;
}

export interface Statement {
  readonly text: string;
  readonly name?: string;
  readonly values?: readonly unknown[];
}

export class ApplyConnection {
  readonly #client: pg.Client;
  /** False when foreign keys and triggers fire on the target as for any other writer. */
  readonly hasReplicaRole: boolean;

  private constructor(client: pg.Client, hasReplicaRole: boolean) {
    this.#client = client;
    this.hasReplicaRole = hasReplicaRole;
  }

  static async open(address: ServerAddress, applicationName: string, session: ApplySession): Promise<ApplyConnection> {
    const client = await connectText(address, applicationName, true);
    const settings = [
      `SET causeway.applier = '${session.token}'`,
      `SET synchronous_commit = ${session.synchronousCommit}`,
      `SET lock_timeout = ${session.lockTimeoutMs}`,
      'SET enable_seqscan = off', 'SET enable_hashjoin = off', 'SET enable_mergejoin = off', 'SET enable_material = off', 'SET jit = off',
    ];
    try {
      for (const setting of settings) {
        // `jit` came with 11, `plan_cache_mode` with 12: an unknown name is no reason to stop.
        await client.query(setting).catch((error: unknown) => (sqlstateOf(error) === '42704' ? undefined : Promise.reject(error as Error)));
      }
      await client.query('SET plan_cache_mode = force_generic_plan').catch(() => undefined);
      const granted = await client.query('SET session_replication_role = replica').then(() => true, (error: unknown) => {
        if (sqlstateOf(error) === '42501') return false;
        throw error;
      });
      return new ApplyConnection(client, granted);
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
  }

  /** Called once when the connection ends, whoever ends it. */
  onEnd(listener: () => void): void {
    this.#client.once('end', listener);
  }

  /** Sends without waiting for what was sent before; statements behind a failed one in its transaction fail too. */
  send(statement: Statement): Promise<pg.QueryResult> {
    const { text, name, values } = statement;
    if (values === undefined) return this.#client.query(text);
    return this.#client.query({ text, ...(name === undefined ? {} : { name }), values: [...values] });
  }

  sendSet(statement: SetStatement, parameters: readonly Buffer[]): Promise<pg.QueryResult> {
    return this.#client.query({ text: statement.text, name: statement.name, values: [...parameters] });
  }

  /** Sends all and waits for all; throws the first error in order. */
  async run(statements: readonly Statement[]): Promise<pg.QueryResult[]> {
    const settled = await Promise.allSettled(statements.map((statement) => this.send(statement)));
    return settled.map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
  }

  async rows(statement: Statement): Promise<readonly (readonly (string | null)[])[]> {
    const { text, values } = statement;
    const result = await this.#client.query<(string | null)[]>({ text, values: [...(values ?? [])], rowMode: 'array' });
    return result.rows.map((row) => row.map(readText));
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => undefined);
  }
}
