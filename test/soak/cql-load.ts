/**
 * `npm run soak -- cql-load`: a million rows of every kind loaded from one Cassandra cluster to another, the loader killed at random points; both are the same in every cell at the end.
 *
 * CAUSEWAY_CQL_ROWS (1,000,000), CAUSEWAY_CQL_SEED. The exit code is 0 when it held.
 */
import { runVitest } from './run-vitest.ts';

/** Exit code. */
export function run(): Promise<number> {
  return runVitest(['test/cdc/cassandra/large-load.test.ts'], { CAUSEWAY_CQL_ROWS: process.env['CAUSEWAY_CQL_ROWS'] ?? '1000000' });
}
