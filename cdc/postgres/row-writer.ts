/** The target's side of a load: one transaction per chunk that holds its rows and its row in the ledger. */
import type { TablePlan } from '../table-plan.ts';
import type { Chunk, CopyFormat } from '../snapshot/chunk.ts';
import { CopyConnection } from './copy-connection.ts';
import { quoteList, quoteLiteral, quoteTable } from './quote.ts';
import { dropLoadTagSql, loadLockKeys, loadTagSql, takenOver } from './row-writer-ledger.ts';
import type { FinishedChunk } from './row-writer-ledger.ts';
import type { ServerAddress } from './server-address.ts';

/**
 * - `append`: rows that cannot be there yet (one snapshot).
 * - `keep`: rows whose key is there already are left as they are. That is enough: a row that landed earlier was read after
 *   the capture began, as was the one that meets it now, so every difference between the two is a change in the spool, and the
 *   replay brings either of them to the same end. Writing the newer one would only cost dead rows.
 */
export type WriteMode = 'append' | 'keep';

const writerSettings = [
  "client_encoding = 'UTF8'", "DateStyle = 'ISO, YMD'", "IntervalStyle = 'postgres'", "TimeZone = 'UTC'", "lc_monetary = 'C'",
  'statement_timeout = 0', 'lock_timeout = 0', 'idle_in_transaction_session_timeout = 0', 'row_security = off',
  'tcp_keepalives_idle = 30', 'tcp_keepalives_interval = 5', 'tcp_keepalives_count = 4',
];
const STAGE = 'pg_temp.causeway_stage';

export class RowWriter {
  readonly connection: CopyConnection;
  readonly #plan: TablePlan;
  readonly #mode: WriteMode;
  readonly #token: bigint;
  readonly #begin: string;

  private constructor(connection: CopyConnection, plan: TablePlan, mode: WriteMode, token: bigint, replicaRole: boolean) {
    this.connection = connection;
    this.#plan = plan;
    this.#mode = mode;
    this.#token = token;
    // A chunk lost with the server's last moments is lost with its row in the ledger; the load's end is committed in full.
    const local = ['synchronous_commit = off', `causeway.applier = ${quoteLiteral(String(token))}`, ...(replicaRole ? ['session_replication_role = replica'] : [])];
    this.#begin = `BEGIN; ${local.map((setting) => `SET LOCAL ${setting}; `).join('')}SELECT pg_advisory_xact_lock_shared(${loadLockKeys(plan.tableId)}); ${loadTagSql(token)}; SELECT token FROM causeway.chunk WHERE table_id = ${quoteLiteral(plan.tableId)} AND chunk_no = 0 FOR SHARE`;
  }

  static async open(address: ServerAddress, plan: TablePlan, mode: WriteMode, token: bigint, signal: AbortSignal): Promise<RowWriter> {
    const connection = await CopyConnection.connect(address, { applicationName: 'causeway load', signal, textOnly: true });
    await connection.exec(writerSettings.map((setting) => `SET ${setting}`).join('; '));
    const writer = new RowWriter(connection, plan, mode, token, await mayActAsReplica(connection));
    // Only the columns' types: no constraint and no index makes a row fail or wait before it is merged.
    if (mode === 'keep') await connection.exec(`CREATE TEMPORARY TABLE causeway_stage ON COMMIT DELETE ROWS AS SELECT ${writer.#columns()} FROM ${quoteTable(plan.target)} WITH NO DATA`);
    return writer;
  }

  /** Opens the chunk's transaction. Throws MIG092 when another control process has taken the table over. */
  async begin(): Promise<void> {
    const results = await this.connection.exec(this.#begin);
    if (results.at(-1)?.rows[0]?.[0] !== String(this.#token)) {
      await this.rollback();
      throw takenOver(this.#plan.tableId);
    }
  }

  copyInSql(format: CopyFormat): string {
    const into = this.#mode === 'append' ? quoteTable(this.#plan.target) : STAGE;
    return `COPY ${into} (${this.#columns()}) FROM STDIN (FORMAT ${format})`;
  }

  /** After a COPY: moves staged rows into the table. Nothing to do for `append`. */
  async merge(): Promise<void> {
    if (this.#mode === 'append') return;
    const columns = this.#columns();
    await this.connection.exec(`
      INSERT INTO ${quoteTable(this.#plan.target)} (${columns}) OVERRIDING SYSTEM VALUE
        SELECT ${columns} FROM ${STAGE} ON CONFLICT (${quoteList(this.#plan.key)}) DO NOTHING`);
  }

  /** Between two COPYs of one transaction; its end empties the stage by itself. */
  async clearStage(): Promise<void> {
    if (this.#mode === 'keep') await this.connection.exec(`TRUNCATE ${STAGE}`);
  }

  /** Writes the ledger's row; `commit` follows. */
  async record(chunk: Chunk, done: FinishedChunk): Promise<void> {
    const { range } = chunk;
    const lower = range.kind === 'blocks' ? [range.from] : range.kind === 'key' ? range.lower : undefined;
    const upper = range.kind === 'blocks' && range.to !== undefined ? [range.to] : range.kind === 'key' ? range.upper : undefined;
    const bound = (value: unknown): string => (value === undefined ? 'NULL' : quoteLiteral(JSON.stringify(value)));
    const errors = done.errors.length === 0 ? 'NULL' : quoteLiteral(JSON.stringify(done.errors));
    await this.connection.exec(`
      INSERT INTO causeway.chunk (table_id, chunk_no, definition_hash, lower_bound, upper_bound, rows, bytes, token, skipped, errors)
      VALUES (${quoteLiteral(this.#plan.tableId)}, ${chunk.chunkNo}, ${quoteLiteral(this.#plan.definitionHash)}, ${bound(lower)}, ${bound(upper)},
        ${done.rows}, ${done.bytes}, ${this.#token}, ${done.skipped}, ${errors})`);
  }

  async commit(): Promise<void> {
    await this.connection.exec('COMMIT');
  }

  async rollback(): Promise<void> {
    await this.connection.exec('ROLLBACK');
  }

  /** Ends the connection in good order. */
  async close(): Promise<void> {
    await this.connection.exec(dropLoadTagSql);
    this.connection.close();
  }

  #columns(): string {
    return quoteList(this.#plan.columns.map((column) => column.name));
  }
}

/** Replica role keeps triggers and foreign keys from firing; it takes a superuser or a grant (RULES 30). */
async function mayActAsReplica(connection: CopyConnection): Promise<boolean> {
  try {
    await connection.exec('BEGIN; SET LOCAL session_replication_role = replica');
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === '42501') return false;
    throw error;
  } finally {
    await connection.exec('ROLLBACK').catch(() => undefined);
  }
}
