/** The rows that the target refused, and why: one line of JSON each, synced before their range counts as read. */
import * as fs from 'node:fs/promises';
import { messageOf } from '../cluster.ts';
import { printKey } from '../print-values.ts';
import { printTable } from '../table.ts';
import type { CassandraTable } from '../table.ts';
import type { RefusedRow } from './row-writer.ts';

export interface FailedRows extends AsyncDisposable {
  add(table: CassandraTable, refused: readonly RefusedRow[]): Promise<void>;
}

/** `now` gives milliseconds since 1970. */
export async function openFailedRows(file: string, now: () => number): Promise<FailedRows> {
  const handle = await fs.open(file, 'a');
  return {
    add: async (table, refused) => {
      const at = new Date(now()).toISOString();
      const lines = refused.map(({ row, error }) => JSON.stringify({
        at, table: printTable(table), part: row.part, key: printKey(table, row), keyBytes: [...row.partitionKey, ...row.clustering].map((bytes) => bytes.toString('hex')), token: String(row.token), error: messageOf(error),
      }));
      await handle.appendFile(`${lines.join('\n')}\n`);
      await handle.datasync();
    },
    [Symbol.asyncDispose]: () => handle.close(),
  };
}
