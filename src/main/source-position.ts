/** The source's write position, asked for by many sessions at once: one query at a time answers all who came before it was sent. */
import type pg from 'pg';
import { parseLsn } from '../../cdc/change.ts';
import { connectServer } from '../../cdc/postgres/connect.ts';
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';
import type { SourcePosition } from '../session/services.ts';

type Callback = (lsn: bigint | undefined) => void;

export function createSourcePosition(source: ServerAddress): SourcePosition & AsyncDisposable {
  let client: Promise<pg.Client> | undefined;
  let waiting: Callback[] = [];
  let isAsking = false;

  const ask = async (): Promise<void> => {
    isAsking = true;
    while (waiting.length > 0) {
      const asked = waiting;
      waiting = [];
      const lsn = await query().catch(() => undefined);
      for (const callback of asked) callback(lsn);
    }
    isAsking = false;
  };

  const query = async (): Promise<bigint> => {
    client ??= connectServer(source, { applicationName: 'causeway gateway' });
    try {
      const open = await client;
      const { rows } = await open.query<{ lsn: string }>({ name: 'position', text: 'SELECT pg_current_wal_insert_lsn()::text AS lsn' });
      return parseLsn(rows[0]?.lsn ?? '');
    } catch (error) {
      client?.then((lost) => lost.end(), () => undefined).catch(() => undefined);
      client = undefined;
      throw error;
    }
  };

  return {
    fetch: (callback) => {
      waiting.push(callback);
      if (!isAsking) void ask();
    },
    [Symbol.asyncDispose]: async () => {
      await client?.then((open) => open.end(), () => undefined);
    },
  };
}
