/**
 * Writes rows to the target. Small rows of one partition go together; what the server refuses is given back row by row, what it did not take for another reason
 * is tried again and then thrown: a target that is down is no reason to call its rows bad.
 */
import type { Runtime } from '../../../config/runtime.ts';
import { kindOfFailure } from '../cluster.ts';
import type { BoundStatement, Cluster } from '../cluster.ts';
import { writeBigint } from '../raw-values.ts';
import { RowReader } from '../row-reader.ts';
import type { RowPart, TableRow } from '../row-reader.ts';
import { RowStatements } from '../row-statements.ts';
import type { StatementOptions } from '../row-statements.ts';
import { quoteName, quoteTable } from '../table.ts';
import type { CassandraTable } from '../table.ts';
import type { Throttle } from '../throttle.ts';
import { withRetries, forEachLimited } from './retry.ts';
import type { RetryOptions } from './retry.ts';

export interface RowWriterOptions extends StatementOptions, RetryOptions {
  /** Requests under way at once. */
  readonly concurrency: number;
  /** For repairs: a list is replaced also where the other is newer. */
  readonly replacesNewerLists?: boolean;
  /** Of counters: both sides are read in a moment in which no application writes them. Without it applications have to rest. `read` may be called again. */
  readonly quietly?: Quietly;
}

export type Quietly = <T>(read: () => Promise<T>) => Promise<T>;

export interface RefusedRow {
  readonly row: TableRow;
  readonly error: unknown;
}

/** The two places that a row is read from again, and the one that it is written to. */
export interface WriterSides {
  readonly from: Cluster;
  readonly fromTable: CassandraTable;
  readonly to: Cluster;
  readonly toTable: CassandraTable;
  /** Of the side that is written. */
  readonly throttle: Throttle;
}

/** Below the size at which Cassandra begins to warn of batches. */
const UNIT_BYTES = 4096;
const UNIT_ROWS = 16;
/** Readings of a list that changes under the hands. */
const LIST_ROUNDS = 3;

export class RowWriter {
  readonly #runtime: Runtime;
  readonly #sides: WriterSides;
  readonly #options: RowWriterOptions;
  readonly #statements: RowStatements;
  readonly #sourceReaders: { readonly [part in RowPart]: RowReader };
  readonly #targetReaders: { readonly [part in RowPart]: RowReader };

  constructor(runtime: Runtime, sides: WriterSides, options: RowWriterOptions) {
    this.#runtime = runtime;
    this.#sides = sides;
    this.#options = options;
    this.#statements = new RowStatements(sides.fromTable, sides.toTable, options);
    const reader = (cluster: Cluster, table: CassandraTable, part: RowPart): RowReader => new RowReader(table, part, cluster.tellsElementTimes);
    this.#sourceReaders = { rows: reader(sides.from, sides.fromTable, 'rows'), statics: reader(sides.from, sides.fromTable, 'statics') };
    // The target may have further columns: what it is asked for is what the source has.
    const compared = { ...sides.fromTable, keyspace: sides.toTable.keyspace, name: sides.toTable.name };
    this.#targetReaders = { rows: reader(sides.to, compared, 'rows'), statics: reader(sides.to, compared, 'statics') };
  }

  /** Resolves when every row is on the target or among the refused. */
  async write(rows: readonly TableRow[], signal: AbortSignal): Promise<readonly RefusedRow[]> {
    const refused: RefusedRow[] = [];
    const single = async (row: TableRow): Promise<void> => {
      try {
        await this.#writeUnit([row], signal);
      } catch (error) {
        if (signal.aborted || (kindOfFailure(error) !== 'refused' && !(error instanceof TargetIsNewerError))) throw error;
        refused.push({ row, error });
      }
    };
    await forEachLimited(this.#unitsOf(rows), this.#options.concurrency, async (unit) => {
      const [first] = unit;
      if (first !== undefined && unit.length === 1) return single(first);
      try {
        await this.#writeUnit(unit, signal);
      } catch (error) {
        if (signal.aborted || kindOfFailure(error) !== 'refused') throw error;
        for (const row of unit) await single(row);
      }
    });
    return refused;
  }

  /** Neighbours of one partition, as far as they are small. */
  #unitsOf(rows: readonly TableRow[]): readonly (readonly TableRow[])[] {
    // Lists are asked for one by one.
    const { isCounter, regulars } = this.#sides.fromTable;
    if (isCounter || regulars.some(({ shape }) => shape === 'list')) return rows.map((row) => [row]);
    const units: TableRow[][] = [];
    let bytes = 0;
    for (const row of rows) {
      const unit = units.at(-1);
      const first = unit?.[0];
      const isNeighbour = first?.token === row.token && first.part === row.part && first.partitionKey.every((key, index) => key.equals(row.partitionKey[index] ?? key));
      if (unit !== undefined && isNeighbour && unit.length < UNIT_ROWS && bytes + row.bytes < UNIT_BYTES) {
        unit.push(row);
        bytes += row.bytes;
      } else {
        units.push([row]);
        bytes = row.bytes;
      }
    }
    return units;
  }

  async #writeUnit(rows: readonly TableRow[], signal: AbortSignal): Promise<void> {
    const { throttle, fromTable } = this.#sides;
    await throttle.pass(rows.length, rows.reduce((sum, { bytes }) => sum + bytes, 0), signal);
    if (fromTable.isCounter) {
      for (const row of rows) await this.#addCounters(row, signal);
      return;
    }
    await withRetries(this.#runtime, throttle, this.#options, signal, async () => {
      const statements: BoundStatement[] = [];
      // Made anew for each attempt: times to live go on.
      for (const row of rows) statements.push(...await this.#statementsOf(row));
      await this.#send(statements);
    });
    for (const row of rows) {
      for (const { column } of row.cells) if (column.shape === 'list') await this.#writeList(row, column.name, signal);
    }
  }

  async #statementsOf(row: TableRow): Promise<readonly BoundStatement[]> {
    const nowMs = this.#runtime.clock.monotonicMs();
    const statements = this.#statements.of(row, nowMs);
    if (statements !== undefined) return statements;
    const fresh = await this.#readAgain(row);
    return fresh === undefined ? [] : this.#statements.of(fresh, this.#runtime.clock.monotonicMs()) ?? [];
  }

  /** A batch is for small ones: a large one would be warned of, or refused. */
  async #send(statements: readonly BoundStatement[]): Promise<void> {
    let batch: BoundStatement[] = [];
    let bytes = 0;
    for (const statement of statements) {
      const size = statement.values.reduce((sum, value) => sum + (Buffer.isBuffer(value) ? value.length : 0), 0);
      if (batch.length > 0 && bytes + size > UNIT_BYTES) {
        await this.#sides.to.write(batch);
        batch = [];
        bytes = 0;
      }
      batch.push(statement);
      bytes += size;
    }
    await this.#sides.to.write(batch);
  }

  async #readAgain(row: TableRow): Promise<TableRow | undefined> {
    return this.#readOne(this.#sides.from, this.#sourceReaders[row.part], row);
  }

  async #readOne(cluster: Cluster, reader: RowReader, row: TableRow): Promise<TableRow | undefined> {
    const { rows: [answer] } = await cluster.read(reader.byKey(row.partitionKey, row.clustering));
    return answer === undefined ? undefined : reader.parse(answer, this.#runtime.clock.monotonicMs());
  }

  /**
   * A list written twice with one time has its elements twice, since each writing finds new places for them. So the target is asked first: what is there is not
   * written again; what is older is replaced, a microsecond after the newest element; what is newer is a write that the row's reading has missed, and the row is read again.
   */
  async #writeList(row: TableRow, column: string, signal: AbortSignal): Promise<void> {
    let current: TableRow | undefined = row;
    for (let round = 0; round < LIST_ROUNDS; round += 1) {
      const cell = current?.cells.find((one) => one.column.name === column);
      if (current === undefined || cell === undefined) return;
      const theirs = await withRetries(this.#runtime, this.#sides.throttle, this.#options, signal, () => this.#readOne(this.#sides.to, this.#targetReaders[row.part], row));
      const there = theirs?.cells.find((one) => one.column.name === column);
      if (there?.value.equals(cell.value) === true) return;
      const own = cell.writetime ?? this.#options.assumedTime;
      const isReplaced = there === undefined || this.#options.replacesNewerLists === true || (there.writetime !== undefined && cell.writetime !== undefined && there.writetime <= own);
      if (isReplaced) {
        const newest = there?.writetime !== undefined && there.writetime > own ? there.writetime : own;
        const statement = this.#statements.replaceList(current, cell, there === undefined ? own : newest + 1n, this.#runtime.clock.monotonicMs());
        if (statement === undefined) return;
        // Not sent twice by itself: after a lost answer the next round looks.
        try {
          await this.#sides.to.write([statement]);
          return;
        } catch (error) {
          if (kindOfFailure(error) === 'refused') throw error;
          await this.#runtime.clock.sleep(this.#options.retryPauseMs, signal);
          continue;
        }
      }
      current = await this.#readAgain(row);
    }
    throw new TargetIsNewerError(`the list ${column} on the target is newer than the source's, or does not tell its age`);
  }

  #readCounters(row: TableRow): Promise<readonly [ours: TableRow | undefined, theirs: TableRow | undefined]> {
    const theirs = (): Promise<TableRow | undefined> => this.#readOne(this.#sides.to, this.#targetReaders[row.part], row);
    const { quietly } = this.#options;
    // What was read of the source before is old while applications count.
    return quietly ? quietly(() => Promise.all([this.#readAgain(row), theirs()])) : theirs().then((there) => [row, there] as const);
  }

  /** The difference is added: what is counted meanwhile is counted on both sides. After a lost answer it is reckoned anew, when the write that is perhaps under way has had time to arrive. */
  async #addCounters(row: TableRow, signal: AbortSignal): Promise<void> {
    const { to, toTable, throttle } = this.#sides;
    const settledMs = Math.max(this.#options.retryPauseMs, 1000);
    await withRetries(this.#runtime, throttle, { ...this.#options, retryPauseMs: settledMs }, signal, async () => {
      const [ours, theirs] = await this.#readCounters(row);
      const differing = (ours?.cells ?? []).flatMap(({ column, value }) => {
        const there = theirs?.cells.find((cell) => cell.column.name === column.name);
        const difference = BigInt.asIntN(64, value.readBigInt64BE(0) - (there?.value.readBigInt64BE(0) ?? 0n));
        return there !== undefined && difference === 0n ? [] : [{ column, difference }];
      });
      if (differing.length === 0) return;
      const keys = [...toTable.partitionKey, ...(row.part === 'rows' ? toTable.clustering : [])].map(({ name }) => `${quoteName(name)} = ?`);
      const sets = differing.map(({ column }) => `${quoteName(column.name)} = ${quoteName(column.name)} + ?`);
      await to.write([{ text: `UPDATE ${quoteTable(toTable)} SET ${sets.join(', ')} WHERE ${keys.join(' AND ')}`, values: [...differing.map(({ difference }) => writeBigint(difference)), ...row.partitionKey, ...row.clustering] }]);
    });
  }
}

/** The row cannot be made the source's without taking something away that is newer. */
export class TargetIsNewerError extends Error {
  override readonly name = 'TargetIsNewerError';
}
