/** The question for the keys of a table, and its answer, as `GET /keys` has them. */
import { MigrationError } from '../../../config/migration-error.ts';
import type { JsonBody } from '../../ops/json-server.ts';
import type { KeyColumn, KeyedTable, WrittenKey } from '../keys/key-columns.ts';
import type { KeyPage } from '../keys/key-reader.ts';

export interface KeyQuestion {
  readonly table: KeyedTable;
  readonly sinceMs: number;
  readonly after: string | undefined;
}

/** Throws MIG071 for what is no question. */
export function readKeyQuestion({ keyspace, table, partition_key: partitionKey, clustering, since, after, ...others }: JsonBody): KeyQuestion {
  const unknown = Object.keys(others);
  if (unknown.length > 0) throw new MigrationError('MIG071', `${unknown.join(', ')}: unknown; expected keyspace, table, partition_key, clustering, since, after`);
  if (typeof keyspace !== 'string' || typeof table !== 'string') throw new MigrationError('MIG071', 'keyspace, table: expected names');
  if (typeof since !== 'string' || !/^\d{1,15}$/.test(since)) throw new MigrationError('MIG071', 'since: expected milliseconds since 1970');
  if (after !== undefined && (typeof after !== 'string' || !/^\d{1,16}:\d{1,16}$/.test(after))) throw new MigrationError('MIG071', 'after: expected `next` of the page before');
  const key = columnsOf('partition_key', partitionKey);
  if (key.length === 0) throw new MigrationError('MIG071', 'partition_key: expected at least one column');
  return { table: { keyspace, table, partitionKey: key, clustering: columnsOf('clustering', clustering ?? '[]') }, sinceMs: Number(since), after };
}

function columnsOf(what: string, given: unknown): readonly KeyColumn[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(String(given));
  } catch {
    parsed = undefined;
  }
  const isPair = (one: unknown): one is readonly [string, string] => Array.isArray(one) && one.length === 2 && one.every((part) => typeof part === 'string');
  if (!Array.isArray(parsed) || !parsed.every(isPair)) throw new MigrationError('MIG071', `${what}: expected a list of names and types, [["k", "int"]]`);
  return parsed.map(([name, type]) => ({ name, type }));
}

/** The question behind the `?`. */
export function keyQuery({ keyspace, table, partitionKey, clustering }: KeyedTable, sinceMs: number, after: string | undefined): string {
  const pairs = (columns: readonly KeyColumn[]): string => JSON.stringify(columns.map(({ name, type }) => [name, type]));
  return new URLSearchParams({ keyspace, table, partition_key: pairs(partitionKey), clustering: pairs(clustering), since: String(Math.max(0, Math.floor(sinceMs))), ...(after === undefined ? {} : { after }) }).toString();
}

type KeyOnWire = readonly [partitionKey: readonly string[], clustering: readonly string[], isStaticOnly: 0 | 1];

interface PageOnWire {
  readonly now_ms: number;
  readonly unknown: string | null;
  /** Values in base64. */
  readonly keys: readonly KeyOnWire[];
  readonly next: string | null;
}

export function keyPageBody({ nowMs, unknown, keys, next }: KeyPage): PageOnWire {
  const texts = (values: readonly Buffer[]): readonly string[] => values.map((value) => value.toString('base64'));
  return { now_ms: nowMs, unknown: unknown ?? null, keys: keys.map(({ partitionKey, clustering, isStaticOnly }): KeyOnWire => [texts(partitionKey), texts(clustering), isStaticOnly ? 1 : 0]), next: next ?? null };
}

export function readKeyPage(body: unknown): KeyPage {
  const { now_ms: nowMs, unknown, keys, next } = body as PageOnWire;
  const bytes = (values: readonly string[]): readonly Buffer[] => values.map((value) => Buffer.from(value, 'base64'));
  return { nowMs, unknown: unknown ?? undefined, keys: keys.map(([partitionKey, clustering, isStaticOnly]): WrittenKey => ({ partitionKey: bytes(partitionKey), clustering: bytes(clustering), isStaticOnly: isStaticOnly === 1 })), next: next ?? undefined };
}
