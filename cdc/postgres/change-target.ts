/** A PostgreSQL database as the target of a stream. */
import { ApplyConnection } from '../apply/apply-connection.ts';
import type { Statement } from '../apply/apply-connection.ts';
import { Applier } from '../apply/applier.ts';
import type { ApplierOptions } from '../apply/applier.ts';
import type { TargetShape } from '../apply/bound-table.ts';
import { fetchRows } from '../apply/fetch-rows.ts';
import type { RowRef } from '../apply/row-set.ts';
import type { TableBinding } from '../apply/table-binding.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { SourceIdentity } from '../stream/change-source.ts';
import type { ChangeTarget, ListedWinner, StreamRow, TableRow, TargetConnection, TargetMoves } from '../stream/change-target.ts';
import type { ChangeStreamOptions } from '../stream/options.ts';
import type { TablePlan } from '../table-plan.ts';
import { installBookkeeping } from './bookkeeping.ts';
import { connectServer } from './connect.ts';
import { countRereads, rereadRows } from './reread.ts';
import { postgresUnits } from './row-target.ts';
import { SqlClient } from './sql-client.ts';
import { readTargetShape } from './table-definition.ts';
import { forgetTable, insertStreamRow, movePrivate, moveShared, privateTag, raiseTokens, readStreamRow, readTableRows, saveSource, setMembership, tagShared, tagTransaction } from './target-state.ts';

export type PostgresTargetOptions = Pick<ChangeStreamOptions, 'name' | 'target' | 'token' | 'synchronousCommit'>;

const LOCK_TIMEOUT_MS = 2000;
const PROBE_TIMEOUT_MS = 3_000;
const MAX_APPLICATION_NAME = 63;
const durably: Statement = { text: 'SET LOCAL synchronous_commit = on' };

export class PostgresChangeTarget implements ChangeTarget {
  readonly engine = 'postgres';
  readonly moves: TargetMoves;
  readonly #runtime: Runtime;
  readonly #options: PostgresTargetOptions;
  readonly #client: SqlClient;

  constructor(runtime: Runtime, options: PostgresTargetOptions) {
    const { name, token } = options;
    this.#runtime = runtime;
    this.#options = options;
    this.#client = new SqlClient(options.target, `causeway ${name} state`, `SET causeway.applier = '${token}'`);
    this.moves = {
      shared: (lsn, spoolEnd) => moveShared(name, lsn, token, spoolEnd),
      tagShared: () => tagShared(name, token),
      tagPrivate: (tableId, lsn) => tagTransaction(privateTag(name, tableId), lsn, token),
      private: (tableId, lsn, spoolOffset) => movePrivate(name, tableId, lsn, spoolOffset, token),
      membership: (tableId, mode, lsn, spoolOffset) => setMembership(name, tableId, mode, lsn, token, spoolOffset),
      durably: [durably],
    };
  }

  async prepare(): Promise<void> {
    await this.#client.use(installBookkeeping);
  }

  async answers(): Promise<boolean> {
    try {
      const client = await connectServer(this.#options.target, { applicationName: 'causeway probe', timeoutMs: PROBE_TIMEOUT_MS });
      await client.end().catch(() => undefined);
      return true;
    } catch (error) {
      // A refusal for another reason is for the next attempt to tell.
      return !(error instanceof MigrationError && error.code === 'MIG001');
    }
  }

  readStream(): Promise<StreamRow | undefined> {
    return readStreamRow(this.#client, this.#options.name);
  }

  insertStream(lsn: bigint, spoolId: string): Promise<void> {
    return insertStreamRow(this.#client, this.#options.name, lsn, this.#options.token, spoolId);
  }

  raiseTokens(): Promise<void> {
    return raiseTokens(this.#client, this.#options.name, this.#options.token);
  }

  saveSource({ systemId, timeline }: SourceIdentity, spoolId: string): Promise<void> {
    return saveSource(this.#client, this.#options.name, systemId, timeline, spoolId);
  }

  readTables(): Promise<readonly TableRow[]> {
    return readTableRows(this.#client, this.#options.name);
  }

  async setMembership(tableId: string, mode: 'private' | 'shared', lsn: bigint): Promise<void> {
    const { text, values } = this.moves.membership(tableId, mode, lsn);
    await this.#client.rows({ text, ...(values === undefined ? {} : { values }) });
  }

  leaveShared(tableId: string): Promise<void> {
    return this.#atBoundary((applied) => Promise.resolve([this.moves.membership(tableId, 'private', applied)]));
  }

  leaveAllShared(from: bigint, spooled: bigint, logStart: (tableId: string) => number): Promise<void> {
    return this.#atBoundary(async (applied, rows) => {
      if (applied < from) throw new MigrationError('MIG021', 'The change stream has a gap: resync needed', { detail: 'the target has applied less than the spool begins with: it has been restored, or lost what it had acknowledged' });
      const shared = await rows("SELECT table_id AS id FROM causeway.table_applied WHERE stream = $1 AND mode = 'shared'");
      return [...shared.map((id) => this.moves.membership(id, 'private', applied, logStart(id))), this.moves.shared(applied > spooled ? applied : spooled, spooled)];
    });
  }

  async #atBoundary(statements: (applied: bigint, ids: (sql: string) => Promise<readonly string[]>) => Promise<readonly Statement[]>): Promise<void> {
    const { name, token } = this.#options;
    await this.#client.use(async (client) => {
      await client.query('BEGIN');
      await client.query(durably.text);
      // Waits for a transaction whose end was not heard of.
      const { rows } = await client.query<{ lsn: string }>("SELECT (lsn - '0/0'::pg_lsn)::text AS lsn FROM causeway.applied WHERE stream = $1 AND token = $2::bigint FOR UPDATE", [name, String(token)]);
      if (!rows[0]) throw new MigrationError('MIG092');
      const ids = async (sql: string): Promise<readonly string[]> => (await client.query<{ id: string }>(sql, [name])).rows.map(({ id }) => id);
      for (const { text, values } of await statements(BigInt(rows[0].lsn), ids)) await client.query(text, [...(values ?? [])]);
      await client.query('COMMIT');
    });
  }

  forgetTable(tableId: string): Promise<void> {
    return forgetTable(this.#client, this.#options.name, tableId);
  }

  /** One synchronous commit makes everything that this side committed before it durable. */
  async makeDurable(): Promise<void> {
    if ((this.#options.synchronousCommit ?? 'off') !== 'on') await this.#client.rows({ text: "SELECT pg_logical_emit_message(true, 'causeway', '')" });
  }

  readShape(plan: TablePlan): Promise<TargetShape> {
    return readTargetShape(this.#client, plan.target);
  }

  countRereads(tableId: string): Promise<number> {
    return countRereads(this.#client, tableId);
  }

  async countWinners(tableId: string): Promise<number> {
    const [row] = await this.#client.rows({ text: 'SELECT count(*) FROM causeway.writeback WHERE table_id = $1', values: [tableId] });
    return Number(row?.[0] ?? 0);
  }

  async listWinners(tableId: string, after: string, limit: number): Promise<readonly ListedWinner[]> {
    const listed = await this.#client.rows({
      text: `SELECT key_json, local_row, remote_row FROM causeway.writeback WHERE table_id = $1 AND key_json > $2 ORDER BY key_json LIMIT ${limit}`, values: [tableId, after],
    });
    return listed.map(([key, local, remote]) => ({ key: key ?? '', local: local ?? '', remote: remote ?? '' }));
  }

  async removeWinner(tableId: string, { key, local, remote }: ListedWinner): Promise<void> {
    await this.#client.rows({
      text: 'DELETE FROM causeway.writeback WHERE table_id = $1 AND key_json = $2 AND local_row = $3 AND remote_row = $4', values: [tableId, key, local, remote],
    });
  }

  fetchRows(table: TableBinding, keys: readonly RowRef[]): Promise<ReadonlyMap<number, RowRef>> {
    return fetchRows(this.#client, table, keys);
  }

  async connect(name: string, applier: ApplierOptions): Promise<TargetConnection> {
    const { target, token, synchronousCommit } = this.#options;
    const connection = await ApplyConnection.open(target, name.slice(0, MAX_APPLICATION_NAME), { token, synchronousCommit: synchronousCommit ?? 'off', lockTimeoutMs: LOCK_TIMEOUT_MS });
    return {
      applier: new Applier(this.#runtime, postgresUnits(connection), applier),
      countRereads: (tableId) => countRereads(connection, tableId),
      reread: (source, plan, shape) => rereadRows({ source, connection, tag: privateTag(this.#options.name, plan.tableId), token }, plan, shape),
      onEnd: (listener) => connection.onEnd(listener),
      close: () => connection.close(),
    };
  }

  async drop(): Promise<readonly string[]> {
    const { name } = this.#options;
    const [known] = await this.#client.rows({ text: "SELECT to_regclass('causeway.applied')::text" });
    if (!known?.[0]) return [];
    const tables = (await this.readTables()).map(({ tableId }) => tableId);
    for (const tableId of tables) await this.forgetTable(tableId);
    await this.#client.rows({ text: 'DELETE FROM causeway.applied WHERE stream = $1', values: [name] });
    return tables;
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
