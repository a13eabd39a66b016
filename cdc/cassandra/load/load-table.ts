/**
 * Loads one table, range by range. A range is finished when all its rows have been acknowledged by the target, or refused and written down; a process that ends
 * before begins the range again, which changes nothing, since what is written carries the source's own times. A range whose pages cannot be read is cut in two.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import type { Runtime } from '../../../config/runtime.ts';
import { kindOfFailure, messageOf } from '../cluster.ts';
import type { Cluster } from '../cluster.ts';
import { readPages } from '../read-pages.ts';
import type { PageOptions } from '../read-pages.ts';
import { readersOf } from '../row-reader.ts';
import type { TableRow } from '../row-reader.ts';
import { assertSameShape, printTable, readTable } from '../table.ts';
import type { CassandraTable, TableName } from '../table.ts';
import type { Throttle } from '../throttle.ts';
import { splitRange, splitRing } from '../../../grammar/cql/token-range.ts';
import { widthOf } from '../ring-share.ts';
import type { TokenRange } from '../../../grammar/cql/token-range.ts';
import type { FailedRows } from './failed-rows.ts';
import type { LedgerRange, LoadLedger } from './load-ledger.ts';
import type { TableTally } from './load-progress.ts';
import { RowWriter } from './row-writer.ts';
import type { RowWriterOptions } from './row-writer.ts';

export interface TableLoadOptions extends PageOptions, Omit<RowWriterOptions, 'assumedTime'> {
  /** At least so many ranges per table: what a crash costs is the ranges under way. */
  readonly ranges: number;
  /** Ranges of one table at once. */
  readonly parallelRanges: number;
  /** False: the first refused row ends the table's load. */
  readonly skipOnError: boolean;
  /** Microseconds; the begin of the load less a margin unless said. */
  readonly assumedTime?: bigint;
  /** Rows for which it says no are not loaded (a tenant that stays). */
  readonly isLoaded?: (table: CassandraTable, row: TableRow) => boolean;
}

export interface LoadSides {
  readonly source: Cluster;
  readonly target: Cluster;
  readonly sourceThrottle: Throttle;
  readonly targetThrottle: Throttle;
}

export interface TableLoad {
  readonly sourceTable: TableName;
  readonly targetTable: TableName;
}

/** Applications' clocks may be behind ours: what they write while the load runs must still be later than what has no time of its own. */
const CLOCK_MARGIN_MS = 600_000;

/** Resolves when every range is done or partial; throws what stopped it, else MIG040 for ranges that could not be read. */
export async function loadTable(runtime: Runtime, sides: LoadSides, ledger: LoadLedger, failedRows: FailedRows, load: TableLoad, tally: TableTally, options: TableLoadOptions, signal: AbortSignal): Promise<void> {
  const [table, target] = await Promise.all([readTable(sides.source, load.sourceTable), readTable(sides.target, load.targetTable)]);
  assertSameShape(table, target);
  const record = await ledger.begin(table, {
    fingerprint: fingerprintOf(table, target), assumedTime: options.assumedTime ?? BigInt(runtime.clock.now() - CLOCK_MARGIN_MS) * 1000n, ranges: splitRing(sides.source.tokens, options.ranges),
  });
  tally.restore(record.ranges);
  const todo = spread(record.ranges.filter(({ state }) => state !== 'done'));
  const writer = new RowWriter(runtime, { from: sides.source, fromTable: table, to: sides.target, toTable: target, throttle: sides.targetThrottle }, { ...options, assumedTime: record.assumedTime });
  const unread: string[] = [];
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const worker = async (): Promise<void> => {
    for (let range = todo.pop(); range !== undefined; range = todo.pop()) {
      both.throwIfAborted();
      try {
        const done = await loadRange(runtime, sides, writer, failedRows, table, range, tally, options, both);
        await ledger.finish(table, range, done);
        tally.finish(range, done);
      } catch (error) {
        if (both.aborted || !(error instanceof PagesUnreadableError)) throw error;
        if (widthOf(range) <= 1n) {
          unread.push(`(${range.after}, ${range.upTo}]: ${messageOf(error.cause)}`);
          continue;
        }
        const parts = splitRange(range, 2);
        runtime.log.warn('a token range could not be read and is cut in two', { table: printTable(table), after: String(range.after), upTo: String(range.upTo), error: messageOf(error.cause) });
        await ledger.split(table, range, parts);
        tally.drop(range, parts.length);
        todo.push(...parts);
      }
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: options.parallelRanges }, () => worker().catch((error: unknown) => {
    stop.abort(error);
    throw error;
  })));
  signal.throwIfAborted();
  const failure = ended.find((one) => one.status === 'rejected');
  if (failure !== undefined) throw stop.signal.aborted ? stop.signal.reason : failure.reason;
  if (unread.length > 0) throw new MigrationError('MIG042', `${unread.length} token ranges of ${printTable(table)} could not be read`, { tableName: printTable(table), detail: unread.slice(0, 5).join('; '), hint: 'Look at the source for the partitions of these tokens, then start the load again: it goes on where it is.' });
}

async function loadRange(runtime: Runtime, sides: LoadSides, writer: RowWriter, failedRows: FailedRows, table: CassandraTable, range: TokenRange, tally: TableTally, options: TableLoadOptions, signal: AbortSignal): Promise<{ rows: number; bytes: number; refused: number }> {
  const done = { rows: 0, bytes: 0, refused: 0 };
  for (const reader of readersOf(table, sides.source.tellsElementTimes)) {
    const pages = readPages(runtime, sides.source, sides.sourceThrottle, reader, reader.inRange(range), options, signal);
    for (;;) {
      const page = await pages.next().catch((error: unknown) => {
        if (signal.aborted || kindOfFailure(error) === 'refused') throw error;
        throw new PagesUnreadableError({ cause: error });
      });
      if (page.done === true) break;
      const rows = options.isLoaded === undefined ? page.value : page.value.filter((row) => options.isLoaded?.(table, row) ?? true);
      const refused = await writer.write(rows, signal);
      if (runtime.faults.armed) await runtime.faults.hit('cassandra.load.page_written');
      if (refused.length > 0) await refuse(failedRows, table, refused, options.skipOnError);
      done.rows += rows.filter(({ part }) => part === 'rows').length - refused.length;
      done.refused += refused.length;
      done.bytes += page.value.reduce((sum, row) => sum + row.bytes, 0);
      tally.page(range, { ...done });
    }
  }
  return done;
}

async function refuse(failedRows: FailedRows, table: CassandraTable, refused: Parameters<FailedRows['add']>[1], skipOnError: boolean): Promise<void> {
  await failedRows.add(table, refused);
  if (skipOnError) return;
  throw new MigrationError('MIG042', `The target refuses a row of ${printTable(table)}: ${messageOf(refused[0]?.error)}`, { tableName: printTable(table), hint: 'Repair the row or the table, or allow it with skip_on_error: true. The refused rows are in the file of failed rows.' });
}

/** Pages that fail however small they are; the cause says how. */
class PagesUnreadableError extends Error {
  override readonly name = 'PagesUnreadableError';

  constructor(options: ErrorOptions) {
    super('pages could not be read', options);
  }
}

function fingerprintOf(source: CassandraTable, target: CassandraTable): string {
  return JSON.stringify([source, printTable(target)], (name, value: unknown) => (name === 'defaultTtl' || name === 'gcGrace' ? undefined : value));
}

/** Neighbouring ranges are one node's: taken in this order, those under way are spread over the ring. Taken from the end. */
function spread(ranges: readonly LedgerRange[]): TokenRange[] {
  const step = Math.max(1, Math.floor(Math.sqrt(ranges.length)));
  const order: TokenRange[] = [];
  for (let offset = 0; offset < step; offset += 1) for (let at = offset; at < ranges.length; at += step) order.push(ranges[at] as LedgerRange);
  return order.reverse();
}
