/**
 * `causeway.chunk` of one table on the target: row 0 is the load itself, rows 1 … n its finished chunks.
 *
 * Fencing (RULES 14): row 0 carries the token of the control process that drives the load. A chunk's transaction holds row 0
 * FOR SHARE until it ends and finds its own token there; who takes over changes that row first, and so waits for those transactions.
 * Row locks let new sharers pass a waiting writer, for ever if there are enough workers; the advisory lock in front of them queues.
 */
import type pg from 'pg';
import { MigrationError } from '../../config/migration-error.ts';
import type { TablePlan } from '../table-plan.ts';
import { quoteLiteral, quoteTable } from './quote.ts';

export interface LoadHeader {
  readonly phase: 'copying' | 'copied' | 'done' | 'forgotten';
  readonly form: 'snapshot' | 'key';
  /** Form `key`: the columns that order the chunks, and the bounds between them as text. */
  readonly order?: readonly string[];
  readonly bounds?: readonly (readonly string[])[];
  /** Form `key`: the ranges are the load's own from its start, and the key is built after the last of them. */
  readonly appends?: boolean;
}

export interface RowError {
  readonly key: string;
  readonly message: string;
}

export interface FinishedChunk {
  readonly chunkNo: number;
  readonly rows: number;
  readonly bytes: number;
  readonly skipped: number;
  readonly errors: readonly RowError[];
}

export interface LoadState {
  /** Undefined when this table has never been loaded. */
  readonly header: (LoadHeader & { readonly definitionHash: string }) | undefined;
  readonly finished: readonly FinishedChunk[];
}

const TAG_PREFIX = 'load ';

interface ChunkRow {
  readonly chunk_no: number;
  readonly definition_hash: string;
  readonly lower_bound: string | null;
  readonly rows: string;
  readonly bytes: string;
  readonly token: string;
  readonly skipped: string;
  readonly errors: string | null;
}

export class ChunkLedger {
  readonly #client: pg.Client;
  readonly #token: bigint;

  constructor(client: pg.Client, token: bigint) {
    this.#client = client;
    this.#token = token;
  }

  /** Takes the table over with this token (waits for chunks that an older one is still writing) and reads where it stands. */
  async take(tableId: string): Promise<LoadState> {
    await this.#transaction(async () => {
      await this.#client.query(`SELECT pg_advisory_xact_lock(${loadLockKeys(tableId)})`);
      await this.#client.query('UPDATE causeway.chunk SET token = $2 WHERE table_id = $1 AND chunk_no = 0 AND token < $2', [tableId, this.#token]);
      await this.#client.query(`DELETE FROM causeway.applied WHERE stream LIKE '${TAG_PREFIX}%' AND token < $1`, [this.#token]);
    });
    const result = await this.#client.query<ChunkRow>(
      'SELECT chunk_no, definition_hash, lower_bound, rows::text, bytes::text, token::text, skipped::text, errors FROM causeway.chunk WHERE table_id = $1 ORDER BY chunk_no',
      [tableId],
    );
    const head = result.rows.find((row) => row.chunk_no === 0);
    if (head && BigInt(head.token) !== this.#token) throw takenOver(tableId);
    const finished = result.rows.filter((row) => row.chunk_no > 0).map(finishedChunk);
    if (!head) return { header: undefined, finished };
    return { header: { ...(JSON.parse(head.lower_bound ?? '{}') as LoadHeader), definitionHash: head.definition_hash }, finished };
  }

  /**
   * Starts a load or another form of it: all chunks are forgotten, and with `clear` the target's rows go in the same
   * transaction. `applier` is what the guard of the target asks for.
   */
  async restart(plan: TablePlan, header: LoadHeader, clear: boolean): Promise<void> {
    await this.#transaction(async () => {
      await this.#client.query(loadTagSql(this.#token));
      await this.#client.query(
        `INSERT INTO causeway.chunk AS c (table_id, chunk_no, definition_hash, lower_bound, rows, bytes, token) VALUES ($1, 0, $2, $3, 0, 0, $4)
         ON CONFLICT (table_id, chunk_no) DO UPDATE SET definition_hash = $2, lower_bound = $3, finished_at = now() WHERE c.token = $4`,
        [plan.tableId, plan.definitionHash, JSON.stringify(header), this.#token],
      ).then((result) => this.#assertOwned(result.rowCount, plan.tableId));
      await this.#client.query('DELETE FROM causeway.chunk WHERE table_id = $1 AND chunk_no > 0', [plan.tableId]);
      if (clear) await this.#clearTarget(plan);
    });
  }

  async setPhase(tableId: string, header: LoadHeader): Promise<void> {
    const result = await this.#client.query('UPDATE causeway.chunk SET lower_bound = $2, finished_at = now() WHERE table_id = $1 AND chunk_no = 0 AND token = $3', [tableId, JSON.stringify(header), this.#token]);
    this.#assertOwned(result.rowCount, tableId);
  }

  /** Leaves the mark that what is in the target came from a load, so that the next one may clear it. */
  async forget(tableId: string): Promise<void> {
    await this.take(tableId);
    await this.#transaction(async () => {
      await this.#client.query('DELETE FROM causeway.chunk WHERE table_id = $1 AND chunk_no > 0', [tableId]);
      const mark: LoadHeader = { phase: 'forgotten', form: 'snapshot' };
      await this.#client.query('UPDATE causeway.chunk SET lower_bound = $2 WHERE table_id = $1 AND chunk_no = 0 AND token = $3', [tableId, JSON.stringify(mark), this.#token]);
    });
  }

  async targetHasRows(plan: TablePlan): Promise<boolean> {
    const result = await this.#client.query<{ found: boolean }>(`SELECT EXISTS (SELECT 1 FROM ${quoteTable(plan.target)})::text = 'true' AS found`);
    return result.rows[0]?.found === true;
  }

  async #clearTarget(plan: TablePlan): Promise<void> {
    await this.#client.query(`SET LOCAL causeway.applier = ${quoteLiteral(String(this.#token))}`);
    await this.#client.query('SAVEPOINT clear_target');
    try {
      await this.#client.query(`TRUNCATE ${quoteTable(plan.target)}`);
    } catch {
      // Referenced by a foreign key, or no right to truncate: the slow way, whose own error then counts.
      await this.#client.query('ROLLBACK TO SAVEPOINT clear_target');
      await this.#client.query(`DELETE FROM ${quoteTable(plan.target)}`);
    }
  }

  async #transaction(work: () => Promise<void>): Promise<void> {
    await this.#client.query('BEGIN');
    try {
      await work();
      await this.#client.query('COMMIT');
    } catch (error) {
      await this.#client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }

  #assertOwned(rowCount: number | null, tableId: string): void {
    if (rowCount !== 1) throw takenOver(tableId);
  }
}

function finishedChunk(row: ChunkRow): FinishedChunk {
  return {
    chunkNo: row.chunk_no,
    rows: Number(row.rows),
    bytes: Number(row.bytes),
    skipped: Number(row.skipped),
    errors: row.errors === null ? [] : (JSON.parse(row.errors) as RowError[]),
  };
}

/** Arguments of the advisory lock: shared by a table's chunks, exclusive for a change of its driver. Two tables of one hash only wait. */
export function loadLockKeys(tableId: string): string {
  return `4851138, hashtext(${quoteLiteral(tableId)})`;
}

/**
 * Must be the first change of a transaction that writes rows of a table: by it the capture of the other direction knows that no
 * application wrote them (RULES 11). One row per connection, so that no two workers wait for each other.
 */
export function loadTagSql(token: bigint): string {
  return `INSERT INTO causeway.applied AS a (stream, lsn, token) VALUES ('${TAG_PREFIX}' || pg_backend_pid(), '0/0', ${token}) ON CONFLICT (stream) DO UPDATE SET token = excluded.token, updated_at = now()`;
}

export const dropLoadTagSql = `DELETE FROM causeway.applied WHERE stream = '${TAG_PREFIX}' || pg_backend_pid()`;

export function takenOver(tableId: string): MigrationError {
  return new MigrationError('MIG092', `Another control process loads ${tableId}`, { tableName: tableId });
}
