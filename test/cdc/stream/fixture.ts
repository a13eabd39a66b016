/** What the tests of the change stream share: a runtime, plans read from a real table, comparison of two sides. */
import type { Client } from 'pg';
import type { Runtime } from '../../../config/runtime.ts';
import { noFaults } from '../../../config/faults.ts';
import type { FaultPoints } from '../../../config/faults.ts';
import { orderOf } from '../../../cdc/change.ts';
import type { Position } from '../../../cdc/change.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import type { PostgresStreamOptions } from '../../../cdc/postgres/change-stream.ts';

export function testRuntime(signal: AbortSignal, faults: FaultPoints = noFaults, isLoud = process.env['LOUD'] === '1'): Runtime {
  const say = (level: string) => (message: string, fields?: object): void => {
    if (isLoud) process.stderr.write(`${level} ${message} ${JSON.stringify(fields ?? {})}\n`);
  };
  const log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error'), child: () => log };
  return {
    log, signal, faults,
    metrics: { count: () => undefined, gauge: () => undefined, observe: () => undefined, observer: () => () => undefined, remove: () => undefined },
    clock: {
      now: () => Date.now(),
      monotonicMs: () => performance.now(),
      sleep: (ms, abort) => new Promise((resolve, reject) => {
        if (abort?.aborted) return reject(abort.reason as Error);
        const timer = setTimeout(() => {
          abort?.removeEventListener('abort', stop);
          resolve();
        }, ms);
        const stop = (): void => {
          clearTimeout(timer);
          reject(abort?.reason as Error);
        };
        abort?.addEventListener('abort', stop, { once: true });
      }),
    },
  };
}

const nonCanonical = new Set(['numeric', 'real', 'double precision', 'citext']);

/** A plan as introspection would make it; enough for the tables of these tests. */
export async function planOf(client: Client, name: string, over: Partial<TablePlan> = {}): Promise<TablePlan> {
  const { rows } = await client.query<{ name: string; type: string; oid: number; num: number; notnull: boolean; storage: string; gen: string }>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type, atttypid::int AS oid, attnum AS num, attnotnull AS notnull, attstorage AS storage,
            coalesce(to_json(a)->>'attgenerated', '') AS gen
       FROM pg_attribute a WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, [name]);
  const keys = await client.query<{ name: string }>(
    `SELECT a.attname AS name FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(num, place), pg_attribute a
      WHERE i.indrelid = $1::text::regclass AND i.indisprimary AND a.attrelid = i.indrelid AND a.attnum = k.num ORDER BY place`, [name]);
  const key = keys.rows.map((row) => row.name);
  const { rows: [kind] } = await client.query<{ kind: string }>('SELECT relkind AS kind FROM pg_class WHERE oid = $1::text::regclass', [name]);
  return {
    tableId: `id-${name}`,
    source: { schema: 'public', name },
    target: { schema: 'public', name },
    columns: rows.filter((row) => row.gen === '').map((row) => ({
      name: row.name, type: row.type, typeOid: row.oid, attnum: row.num, notNull: row.notnull,
      canonicalText: !nonCanonical.has(row.type.replace(/\(.*/, '')), toastable: row.storage !== 'p',
    })),
    key: key.length > 0 ? key : rows.map((row) => row.name),
    keyKind: key.length > 0 ? 'primary' : 'full',
    uniqueKeys: [], foreignKeys: [], where: undefined, isPartitioned: kind?.kind === 'p', definitionHash: 'test',
    ...over,
  };
}

export function streamOptions(over: Pick<PostgresStreamOptions, 'source' | 'target' | 'spoolDirectory'> & Partial<PostgresStreamOptions>): PostgresStreamOptions {
  return {
    name: 'fwd', direction: 'forward', token: 1n, slotName: 'causeway_fwd', publicationName: 'causeway_fwd',
    limits: { spoolBytes: 1 << 30, bufferBytes: 16 << 20, batchChanges: 10_000, batchWaitMs: 50 },
    onConflict: () => undefined, onError: () => undefined, onSchemaChange: () => undefined,
    conflictStrategy: () => ({ kind: 'source_wins' }),
    ...over,
  };
}

/** Rows as the server's text, ordered: equal for equal contents. */
export async function contents(client: Client, name: string): Promise<string[]> {
  const { rows } = await client.query<{ row: string }>(`SELECT t::text AS row FROM ${name} AS t ORDER BY 1`);
  return rows.map((each) => each.row);
}

export async function until(what: string, test: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await test())) {
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export function orderOr(position: Position | undefined, missing: bigint): bigint {
  return position === undefined ? missing : orderOf(position);
}
