/**
 * The rows of a token range or a partition, page by page: the server's paging inside it, so that wide partitions and equal tokens lose nothing. While a page is worked on
 * the next one is on its way. A page that fails is asked for again with fewer rows; pages have about as many bytes as they may.
 */
import type { Runtime } from '../../config/runtime.ts';
import type { BoundStatement, Cluster, Page } from './cluster.ts';
import { withRetries } from './load/retry.ts';
import type { RetryOptions } from './load/retry.ts';
import type { RowReader, TableRow } from './row-reader.ts';
import type { Throttle } from './throttle.ts';

export interface PageOptions extends RetryOptions {
  readonly pageRows: number;
  readonly pageBytes: number;
}

const SMALLEST_PAGE = 8;
const FIRST_PAGE = 64;

export async function* readPages(runtime: Runtime, cluster: Cluster, throttle: Throttle, reader: RowReader, statement: BoundStatement, options: PageOptions, signal: AbortSignal): AsyncGenerator<readonly TableRow[], void, void> {
  // The first page shows how large rows are.
  let size = Math.min(options.pageRows, FIRST_PAGE);
  const read = async (from: string | undefined): Promise<Page> => {
    const asked = size;
    return withRetries(runtime, throttle, options, signal, (attempt) => cluster.read(statement, { size: Math.max(SMALLEST_PAGE, asked >> (attempt * 2)), from }));
  };
  for (let pending: Promise<Page> | undefined = read(undefined); pending !== undefined;) {
    const page: Page = await pending;
    const readAtMs = runtime.clock.monotonicMs();
    const rows = page.rows.map((answer) => reader.parse(answer, readAtMs)).filter((row) => row !== undefined);
    const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
    if (rows.length > 0) size = Math.max(SMALLEST_PAGE, Math.min(options.pageRows, Math.floor(options.pageBytes / Math.max(1, bytes / rows.length))));
    await throttle.pass(page.rows.length, bytes, signal);
    pending = page.next === undefined ? undefined : read(page.next);
    // Whoever stops taking pages does not look at the one that is on its way.
    pending?.catch(() => undefined);
    if (rows.length > 0) yield rows;
  }
}
