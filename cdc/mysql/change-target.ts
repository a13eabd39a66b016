/** A MySQL or MariaDB database as the target of a stream: the way back after a cutover. */
import { Applier } from '../apply/applier.ts';
import type { ApplierOptions } from '../apply/applier.ts';
import type { TargetShape } from '../apply/bound-table.ts';
import type { RowRef } from '../apply/row-set.ts';
import type { TableBinding } from '../apply/table-binding.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { SourceIdentity } from '../stream/change-source.ts';
import type { ChangeTarget, ListedWinner, StreamRow, TableRow, TargetConnection, TargetMoves } from '../stream/change-target.ts';
import type { ChangeStreamOptions } from '../stream/options.ts';
import type { TablePlan } from '../table-plan.ts';
import { MysqlApplyConnection } from './apply/apply-connection.ts';
import { countRereads, rereadRows } from './apply/rereads.ts';
import { fetchMysqlRows } from './apply/fetch-rows.ts';
import { mysqlUnits } from './apply/row-target.ts';
import { readTargetColumns } from './apply/target-table.ts';
import { connectMysql, endMysql, errnoOf } from './connect.ts';
import { MysqlClient } from './mysql-client.ts';
import { mysqlLiteral } from './query.ts';
import type { MysqlQuery } from './query.ts';
import type { TypeRules } from './source-column.ts';
import { forgetStream, forgetTable, hasTargetState, insertStreamRow, installTargetState, lockStreamRow, mysqlMoves, raiseTokens, readStreamRow, readTableRows, saveSource } from './target-state.ts';

export interface MysqlTargetOptions extends Pick<ChangeStreamOptions, 'name' | 'target' | 'token'> {
  readonly types: TypeRules;
}

const PROBE_TIMEOUT_MS = 3_000;
const ACCESS_DENIED = new Set([1227, 1044, 1045]);

export class MysqlChangeTarget implements ChangeTarget {
  readonly engine = 'mysql';
  readonly moves: TargetMoves;
  readonly #runtime: Runtime;
  readonly #options: MysqlTargetOptions;
  readonly #client: MysqlClient;
  readonly #query: MysqlQuery;
  #isFlushRefused = false;

  constructor(runtime: Runtime, options: MysqlTargetOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#client = new MysqlClient(options.target);
    this.#query = (sql) => this.#client.query(sql);
    this.moves = mysqlMoves(options.name, options.token);
  }

  prepare(): Promise<void> {
    return installTargetState(this.#query);
  }

  async answers(): Promise<boolean> {
    try {
      await endMysql(await connectMysql(this.#options.target, { timeoutMs: PROBE_TIMEOUT_MS }));
      return true;
    } catch (error) {
      // A refusal for another reason is for the next attempt to tell.
      return !(error instanceof MigrationError && error.code === 'MIG001');
    }
  }

  readStream(): Promise<StreamRow | undefined> {
    return readStreamRow(this.#query, this.#options.name);
  }

  insertStream(lsn: bigint, spoolId: string): Promise<void> {
    return insertStreamRow(this.#query, this.#options.name, lsn, this.#options.token, spoolId);
  }

  raiseTokens(): Promise<void> {
    return raiseTokens(this.#query, this.#options.name, this.#options.token);
  }

  saveSource({ systemId, timeline }: SourceIdentity, spoolId: string): Promise<void> {
    return saveSource(this.#query, this.#options.name, systemId, timeline, spoolId);
  }

  readTables(): Promise<readonly TableRow[]> {
    return readTableRows(this.#query, this.#options.name);
  }

  async setMembership(tableId: string, mode: 'private' | 'shared', lsn: bigint): Promise<void> {
    await this.#query(this.moves.membership(tableId, mode, lsn).text);
  }

  leaveShared(tableId: string): Promise<void> {
    return this.#atBoundary((applied) => Promise.resolve([this.moves.membership(tableId, 'private', applied).text]));
  }

  leaveAllShared(from: bigint, spooled: bigint, logStart: (tableId: string) => number): Promise<void> {
    return this.#atBoundary(async (applied, query) => {
      if (applied < from) throw new MigrationError('MIG021', 'The change stream has a gap: resync needed', { detail: 'the target has applied less than the spool begins with: it has been restored, or lost what it had acknowledged' });
      const shared = (await readTableRows(query, this.#options.name)).filter(({ mode }) => mode === 'shared');
      return [this.moves.shared(applied > spooled ? applied : spooled, spooled), ...shared.map(({ tableId }) => this.moves.membership(tableId, 'private', applied, logStart(tableId)))].map(({ text }) => text);
    });
  }

  /** Locks the position, and moves what depends on it with it. */
  async #atBoundary(statements: (applied: bigint, query: MysqlQuery) => Promise<readonly string[]>): Promise<void> {
    const { name, token } = this.#options;
    await this.#client.hold(async (query) => {
      await query('BEGIN');
      try {
        const applied = await lockStreamRow(query, name, token);
        for (const sql of await statements(applied, query)) await query(sql);
        await query('COMMIT');
      } catch (error) {
        await query('ROLLBACK').catch(() => undefined);
        throw error;
      }
    });
    await this.makeDurable();
  }

  forgetTable(tableId: string): Promise<void> {
    return forgetTable(this.#query, this.#options.name, tableId);
  }

  /** Commits are durable by themselves where the server writes both logs through at each of them; elsewhere InnoDB is asked to. */
  async makeDurable(): Promise<void> {
    if (this.#isFlushRefused) return;
    const [row] = await this.#query('SELECT @@innodb_flush_log_at_trx_commit AS log, @@sync_binlog AS binlog');
    if (row?.['log'] === '1' && row['binlog'] === '1') return;
    try {
      await this.#query('FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS');
    } catch (error) {
      if (!ACCESS_DENIED.has(errnoOf(error) ?? 0)) throw error;
      this.#isFlushRefused = true;
      this.#runtime.log.warn('the source may lose its last commits in a crash of its machine, and the stream may not have them flushed', { stream: this.#options.name, settings: row, needed: 'innodb_flush_log_at_trx_commit = 1 and sync_binlog = 1, or the privilege RELOAD' });
    }
  }

  readShape(plan: TablePlan): Promise<TargetShape> {
    return readTargetColumns(this.#query, plan, this.#options.types);
  }

  countRereads(tableId: string): Promise<number> {
    return countRereads((sql) => this.#client.ask(sql), tableId);
  }

  // No row of a MySQL source wins over local's (`mysqlRows`): the list stays empty.

  countWinners(): Promise<number> {
    return Promise.resolve(0);
  }

  listWinners(): Promise<readonly ListedWinner[]> {
    return Promise.resolve([]);
  }

  removeWinner(): Promise<void> {
    return Promise.resolve();
  }

  fetchRows(table: TableBinding, keys: readonly RowRef[]): Promise<ReadonlyMap<number, RowRef>> {
    return fetchMysqlRows({ rows: (sql) => this.#client.ask(sql) }, table, keys);
  }

  async connect(_name: string, options: ApplierOptions): Promise<TargetConnection> {
    const { name, target, token } = this.#options;
    const connection = await MysqlApplyConnection.open(target, token);
    const units = mysqlUnits(connection);
    const isOwned = async (): Promise<boolean> => (await connection.rows(`SELECT 1 FROM causeway.applied WHERE stream = ${mysqlLiteral(name)} AND token = '${token}' FOR UPDATE`)).length > 0;
    return {
      applier: new Applier(this.#runtime, units, options),
      countRereads: async (tableId) => {
        const count = await countRereads((sql) => connection.rows(sql), tableId);
        await connection.run('COMMIT');
        return count;
      },
      reread: (source, plan, shape) => rereadRows({ source, connection, rows: units.rows, moves: this.moves, isOwned }, plan, shape),
      onEnd: (listener) => connection.onEnd(listener),
      close: () => connection.close(),
    };
  }

  async drop(): Promise<readonly string[]> {
    if (!(await hasTargetState(this.#query))) return [];
    const tables = (await this.readTables()).map(({ tableId }) => tableId);
    for (const tableId of tables) await this.forgetTable(tableId);
    await forgetStream(this.#query, this.#options.name);
    return tables;
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
