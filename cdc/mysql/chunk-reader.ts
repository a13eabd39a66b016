/** A MySQL or MariaDB database as the side that a load reads: ranges of the key, each one SELECT whose rows are handed on as COPY text. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { CopyConnection, CopySink } from '../postgres/copy-connection.ts';
import { readWireTypes } from '../postgres/row-writer-format.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import type { Chunk, ChunkSize, CopyFormat } from '../snapshot/chunk.ts';
import type { ChunkReader, ChunkSource, SnapshotRead } from '../snapshot/chunk-source.ts';
import type { TablePlan } from '../table-plan.ts';
import { BinaryRows } from './binary-rows.ts';
import { askMysql, connectMysql, endMysql, mysqlSession, queryMysql } from './connect.ts';
import type { AskMysql } from './connect.ts';
import { shortestSingle } from './convert-numbers.ts';
import { keyAfter, keyBefore, keyText } from './key-range.ts';
import { mysqlLiteral, mysqlName, mysqlTableName } from './query.ts';
import type { MysqlQuery } from './query.ts';
import { MysqlError, RowConnection } from './row-connection.ts';
import { readSourceColumns } from './source-column.ts';
import type { SourceColumn, TypeRules } from './source-column.ts';
import { TextRows } from './text-rows.ts';

export interface MysqlChunkSourceOptions {
  readonly source: ServerAddress;
  readonly types: TypeRules;
  /** The plan's key on the target, which may be there already. */
  readonly buildKey: (plan: TablePlan, signal: AbortSignal) => Promise<void>;
}

/** A ledger of more chunks than this serves nobody. */
const MAX_CHUNKS = 20_000;

export class MysqlChunkSource implements ChunkSource {
  readonly sharesSnapshots = false;
  readonly #options: MysqlChunkSourceOptions;

  constructor(options: MysqlChunkSourceOptions) {
    this.#options = options;
  }

  async estimateRows(plan: TablePlan, signal: AbortSignal): Promise<number> {
    return this.#once(signal, async (ask) => (await readSize(ask, plan.source)).rows);
  }

  openSnapshot(): Promise<SnapshotRead> {
    return Promise.reject(new Error('MySQL has no snapshot that several connections share'));
  }

  async openReader(plan: TablePlan, signal: AbortSignal): Promise<ChunkReader> {
    const columns = await this.#once(signal, (_, query) => readSourceColumns(query, plan, this.#options.types));
    return new MysqlChunkReader(await RowConnection.open(this.#options.source, signal), plan, columns);
  }

  /** Walks along the key's index, one step for each chunk. */
  readKeyBounds(plan: TablePlan, order: readonly string[], size: ChunkSize, signal: AbortSignal): Promise<readonly (readonly string[])[]> {
    return this.#once(signal, async (ask, query) => {
      const columns = keyColumns(await readSourceColumns(query, plan, this.#options.types), order);
      const { rows, rowBytes } = await readSize(ask, plan.source);
      const step = Math.max(1, Math.floor(Math.min(size.rows, size.bytes / Math.max(1, rowBytes))), Math.ceil(rows / MAX_CHUNKS));
      const names = order.map(mysqlName).join(', ');
      const bounds: string[][] = [];
      // Rows without a value of the order belong to the last chunk.
      const isThere = isNullable(plan, order) ? `${mysqlName(order[0] ?? '')} IS NOT NULL` : 'TRUE';
      for (let lower: readonly string[] | undefined, isRepeated = false; ; ) {
        signal.throwIfAborted();
        const from = lower === undefined ? '' : ` AND ${keyAfter(columns, lower, !isRepeated)}`;
        const [row] = await ask(`SELECT ${columns.map(keyText).join(', ')} FROM ${mysqlTableName(plan.source)} WHERE ${isThere}${from} ORDER BY ${names} LIMIT 1 OFFSET ${isRepeated ? 0 : step}`);
        if (!row) return bounds;
        const bound = row.map((value) => value ?? '');
        // An order that is no key may have more rows of one value than a step: they stay one chunk.
        isRepeated = lower?.every((value, index) => value === bound[index]) === true;
        if (isRepeated) continue;
        bounds.push(bound);
        lower = bound;
      }
    });
  }

  buildKey(plan: TablePlan, signal: AbortSignal): Promise<void> {
    return this.#options.buildKey(plan, signal);
  }

  async #once<T>(signal: AbortSignal, work: (ask: AskMysql, query: MysqlQuery) => Promise<T>): Promise<T> {
    const connection = await connectMysql(this.#options.source, { signal });
    try {
      await askMysql(connection, mysqlSession);
      return await work((sql) => askMysql(connection, sql), (sql) => queryMysql(connection, sql));
    } finally {
      await endMysql(connection);
    }
  }
}

/** By the statistics. Throws MIG010. */
export async function readSize(ask: AskMysql, table: QualifiedName): Promise<{ readonly rows: number; readonly rowBytes: number }> {
  const [row] = await ask(`SELECT TABLE_ROWS, AVG_ROW_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${mysqlLiteral(table.schema)} AND TABLE_NAME = ${mysqlLiteral(table.name)}`);
  if (!row) throw new MigrationError('MIG010', `Source table ${table.schema}.${table.name} not found`);
  return { rows: Number(row[0] ?? 0), rowBytes: Number(row[1] ?? 0) };
}

class MysqlChunkReader implements ChunkReader {
  readonly #connection: RowConnection;
  readonly #plan: TablePlan;
  readonly #columns: readonly SourceColumn[];
  readonly #text: TextRows;
  #binary: BinaryRows | undefined;

  constructor(connection: RowConnection, plan: TablePlan, columns: readonly SourceColumn[]) {
    this.#connection = connection;
    this.#plan = plan;
    this.#columns = columns;
    this.#text = new TextRows(columns.map(inProtocol));
  }

  async read(chunk: Chunk, format: CopyFormat, sink: CopySink): Promise<void> {
    const encoder = format === 'binary' ? this.#binary : this.#text;
    if (!encoder) throw new Error('MysqlChunkReader: the format has not been chosen');
    const handOver = (): void => {
      if (encoder.isEmpty) return;
      const { bytes, rows } = encoder.take();
      if (sink(bytes, rows, 0) === true) encoder.reuse();
    };
    encoder.begin();
    try {
      await this.#connection.read(selectSql(this.#plan, this.#columns, chunk), {
        row: (bytes, at, end) => encoder.add(bytes, at, end),
        pieceEnd: handOver,
      });
      encoder.end();
      handOver();
    } catch (error) {
      throw error instanceof MysqlError ? readError(error, this.#plan) : error;
    }
  }

  async chooseFormat(target: CopyConnection): Promise<CopyFormat> {
    this.#binary = BinaryRows.of(this.#text.columns, await readWireTypes(target, this.#plan.target));
    return this.#binary ? 'binary' : 'text';
  }

  pause(): void {
    this.#connection.pause();
  }

  resume(): void {
    this.#connection.resume();
  }

  close(): void {
    this.#connection.close();
  }

  abandon(): Promise<void> {
    this.#connection.abandon();
    return Promise.resolve();
  }
}

/** In key order, so that the target's index grows at one place. */
export function selectSql(plan: TablePlan, columns: readonly SourceColumn[], chunk: Chunk): string {
  const { range } = chunk;
  const conditions = plan.where === undefined ? [] : [`(${plan.where}\n)`];
  let order = '';
  if (range.kind === 'key') {
    const key = keyColumns(columns, range.columns);
    const lower = range.lower ? keyAfter(key, range.lower, true) : undefined;
    if (lower !== undefined) conditions.push(range.upper === undefined && isNullable(plan, range.columns) ? `(${lower} OR ${mysqlName(range.columns[0] ?? '')} IS NULL)` : lower);
    if (range.upper) conditions.push(keyBefore(key, range.upper, false));
    order = ` ORDER BY ${range.columns.map(mysqlName).join(', ')}`;
  }
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  return `SELECT ${columns.map(valueSql).join(', ')} FROM ${mysqlTableName(plan.source)}${where}${order}`;
}

/** Of the columns of a key none is; the column of `order_by` may be. */
function isNullable(plan: TablePlan, order: readonly string[]): boolean {
  const [first] = order;
  return first !== undefined && !plan.key.includes(first) && plan.columns.find((column) => column.name === first)?.notNull !== true;
}

function keyColumns(columns: readonly SourceColumn[], names: readonly string[]): readonly SourceColumn[] {
  return names.map((name) => columns.find((column) => column.name === name)).filter((column) => column !== undefined);
}

/** As `valueSql` asks for it. Whatever is not read into four bytes again has to have the digits of a FLOAT alone. */
function inProtocol(column: SourceColumn): SourceColumn {
  if (column.type.name !== 'float' || column.local === 'real') return column;
  return { ...column, toLocal: (text) => column.toLocal(shortestSingle(Number(text))) };
}

/** The protocol's text of a FLOAT has six digits; as a DOUBLE it has all of them. */
function valueSql(column: SourceColumn): string {
  const name = mysqlName(column.name);
  return column.type.name === 'float' || column.type.name === 'double' ? `${name} * 1e0` : name;
}

/** https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html */
function readError(error: MysqlError, plan: TablePlan): MigrationError {
  const about = { detail: `${error.message} (${error.errno}, ${error.sqlstate})`, tableName: plan.tableId, cause: error };
  if (error.errno === 1146 || error.errno === 1049) return new MigrationError('MIG010', 'Source table not found', about);
  if (error.errno === 1142 || error.errno === 1143 || error.errno === 1044) return new MigrationError('MIG004', 'Insufficient privileges at the source', about);
  if (error.errno === 1054) return new MigrationError('MIG011', 'The table\'s definition at the source does not fit', about);
  // Killed, shut down, a lock not granted, a limit of time: the next attempt may well succeed.
  return new MigrationError('MIG002', 'The load was interrupted at the source', about);
}
