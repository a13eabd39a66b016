/**
 * Chunk checksums, computed inside the database over a text of each row that is the same on every PostgreSQL (RULES 29).
 *
 * A row's text is `ROW(columns)::text` under pinned settings: output functions, so that blanks at the end of char(n) stay and NULL is not
 * the empty string. A chunk's checksum is the count and two sums of 64-bit hashes of its rows' texts, which no order of rows changes; a single row
 * is compared by the md5 of its text.
 */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { TablePlan } from '../table-plan.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './quote.ts';
import { readJson } from './read-json.ts';

/** Rows with `lower` < key ≤ `upper` in key order; null is without end. Key values in the server's text form. */
export interface KeyRange {
  readonly type: 'range';
  readonly lower: readonly string[] | null;
  readonly upper: readonly string[] | null;
}

/** Rows whose key (whole row when keyless) hashes to `bucket` modulo `of`. */
export interface HashBucket {
  readonly type: 'bucket';
  readonly bucket: number;
  readonly of: number;
}

export type ChunkRange = KeyRange | HashBucket;

export interface ChunkSum {
  readonly rows: number;
  /** Sums of signed 64-bit halves, as decimal text. */
  readonly high: string;
  readonly low: string;
}

export const emptySum: ChunkSum = { rows: 0, high: '0', low: '0' };

export function isSameSum(a: ChunkSum, b: ChunkSum): boolean {
  return a.rows === b.rows && a.high === b.high && a.low === b.low;
}

/** One side of a comparison, with the SQL that both its checksums and its look-ups share. */
export interface DigestTable {
  readonly table: QualifiedName;
  readonly key: readonly { readonly name: string; readonly type: string }[];
  readonly isKeyless: boolean;
  readonly columns: readonly string[];
  readonly where: string | undefined;
  /** SQL for the text of a row (alias `t`), and for its md5, or for another digest in hexadecimal digits. */
  readonly rowText: string;
  readonly digest: string;
  readonly hash: Comparison['hash'];
  /** SQL for the text of a key, as a text array. */
  readonly keyText: string;
  /** SQL for the digest that puts a key into its bucket, where the other side has another way to write an array. */
  readonly keyHash?: string;
}

/**
 * Fixes everything that a value's text depends on. `row_security = off` makes a policy that would hide rows an error instead of a difference.
 */
export async function pinSession(client: ClientBase): Promise<void> {
  await client.query(`SET search_path = pg_catalog; SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET extra_float_digits = 3;
    SET bytea_output = 'hex'; SET lc_monetary = 'C'; SET xmlbinary = 'base64'; SET xmloption = 'content'; SET row_security = off;
    SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET client_encoding = 'UTF8'`);
}

export interface ServerTraits {
  readonly version: number;
  readonly encoding: string;
}

export async function readServerTraits(client: ClientBase): Promise<ServerTraits> {
  const rows = await readJson<ServerTraits>(client, "SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding");
  return rows[0] ?? { version: 0, encoding: 'UTF8' };
}

/** What both sides must do alike. */
export interface Comparison {
  /** One of the two servers is older than 12, whose float text is not the shortest exact one. */
  readonly binaryFloats: boolean;
  /**
   * `hashtext` (`hashtextextended`, the function behind hash partitioning, whose values must survive upgrades) is some 1.5 times as fast as
   * `md5`, but hashes bytes in the server's encoding and came with 11.
   */
  readonly hash: 'hashtext' | 'md5';
}

/** Pure. */
export function chooseComparison(servers: readonly ServerTraits[]): Comparison {
  return {
    binaryFloats: servers.some((server) => server.version < 120000),
    hash: servers.every((server) => server.version >= 110000 && server.encoding === 'UTF8') ? 'hashtext' : 'md5',
  };
}

export async function digestTable(client: ClientBase, plan: TablePlan, side: 'source' | 'target', comparison: Comparison): Promise<DigestTable> {
  const table = plan[side];
  const baseTypes = comparison.binaryFloats ? await readBaseTypes(client, table) : new Map<string, string>();
  const { encoding } = await readServerTraits(client);
  const values = plan.columns.map((column) => canonicalValue(`t.${quoteIdent(column.name)}`, baseTypes.get(column.name)));
  const isKeyless = plan.keyKind === 'full';
  const rowText = `ROW(${values.join(', ')})::text`;
  const digest = encoding === 'UTF8' ? `md5(${rowText})` : `md5(convert_to(${rowText}, 'UTF8'))`;
  const keyColumns = isKeyless ? [] : plan.key.map((name) => ({ name, type: plan.columns.find((column) => column.name === name)?.type ?? 'text' }));
  const keyText = isKeyless ? `ARRAY[${digest}]` : `ARRAY[${keyColumns.map((column) => outputText(`t.${quoteIdent(column.name)}`)).join(', ')}]`;
  return { table, key: keyColumns, isKeyless, columns: plan.columns.map((column) => column.name), where: plan.where, rowText, digest, keyText, hash: comparison.hash };
}

/** By the output function: a cast to text would take the blanks off a bpchar. Keys are never NULL. */
function outputText(expression: string): string {
  return `format('%s', ${expression})`;
}

const binarySend: Readonly<Record<string, string>> = { point: 'point_send', lseg: 'lseg_send', box: 'box_send', path: 'path_send', polygon: 'poly_send', circle: 'circle_send', line: 'line_send', _float4: 'array_send', _float8: 'array_send' };

function canonicalValue(expression: string, baseType: string | undefined): string {
  if (baseType === 'float4' || baseType === 'float8') return `CASE WHEN ${expression} = 'NaN' THEN 'NaN' ELSE encode(${baseType}send(${expression}), 'hex') END`;
  const send = baseType === undefined ? undefined : binarySend[baseType];
  return send === undefined ? expression : `encode(${send}(${expression}), 'hex')`;
}

async function readBaseTypes(client: ClientBase, table: QualifiedName): Promise<Map<string, string>> {
  const rows = await readJson<{ name: string; type: string }>(client, `
    WITH RECURSIVE base(attname, oid) AS (
      SELECT attname, atttypid FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
      UNION ALL SELECT b.attname, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype = 'd')
    SELECT b.attname AS name, t.typname AS type FROM base b JOIN pg_type t ON t.oid = b.oid AND t.typtype <> 'd' WHERE t.typnamespace = 'pg_catalog'::regnamespace`, [quoteTable(table)]);
  return new Map(rows.map((row) => [row.name, row.type]));
}

/** SQL predicate for a range; key values become literals of the column's type. */
export function rangePredicate(table: DigestTable, range: ChunkRange): string {
  if (range.type === 'bucket') return `${bucketSql(table, range.of)} = ${range.bucket}`;
  const row = (values: readonly string[]): string => tuple(values.map((value, at) => `${quoteLiteral(value)}::${table.key[at]?.type ?? 'text'}`));
  const columns = tuple(table.key.map((column) => `t.${quoteIdent(column.name)}`));
  const bounds = [range.lower === null ? [] : `${columns} > ${row(range.lower)}`, range.upper === null ? [] : `${columns} <= ${row(range.upper)}`].flat();
  return bounds.length === 0 ? 'true' : bounds.join(' AND ');
}

function tuple(parts: readonly string[]): string {
  return parts.length === 1 ? parts.join('') : `ROW(${parts.join(', ')})`;
}

/** 28 bits of the hash of the key (the row when keyless): never negative. */
function bucketSql(table: DigestTable, of: number): string {
  const text = table.isKeyless ? table.rowText : `${table.keyText}::text`;
  if (table.hash === 'hashtext') return `((hashtextextended((${text}) COLLATE "C", 0) & 268435455)::int % ${of})`;
  const digest = table.keyHash ?? (table.isKeyless ? table.digest : `md5(${text})`);
  return `(('x' || substr(${digest}, 1, 7))::bit(28)::int % ${of})`;
}

function fromWhere(table: DigestTable, predicate: string): string {
  return `FROM ${quoteTable(table.table)} t WHERE ${predicate}${table.where === undefined ? '' : ` AND (${table.where})`}`;
}

/** Over a subquery that gives `d`: the row's text or its md5. */
function sumsSql(table: DigestTable): string {
  const [high, low] = table.hash === 'hashtext'
    ? ['hashtextextended(d, 0)', 'hashtextextended(d, 1)']
    : ["('x' || substr(d, 1, 16))::bit(64)::int8", "('x' || substr(d, 17))::bit(64)::int8"];
  return `count(*)::int8 AS rows, coalesce(sum(${high}), 0)::text AS high, coalesce(sum(${low}), 0)::text AS low`;
}

function hashedSql(table: DigestTable): string {
  return table.hash === 'hashtext' ? `(${table.rowText}) COLLATE "C"` : table.digest;
}

/** OFFSET 0 keeps the planner from writing the row's text out twice. */
export async function checksumChunk(client: ClientBase, table: DigestTable, range: ChunkRange): Promise<ChunkSum> {
  const rows = await readJson<ChunkSum>(client, `SELECT ${sumsSql(table)} FROM (SELECT ${hashedSql(table)} AS d ${fromWhere(table, rangePredicate(table, range))} OFFSET 0) q`);
  return rows[0] ?? emptySum;
}

/** All buckets in one scan; buckets without rows are not in the map. */
export async function checksumBuckets(client: ClientBase, table: DigestTable, of: number): Promise<Map<number, ChunkSum>> {
  const rows = await readJson<ChunkSum & { bucket: number }>(client, `SELECT b AS bucket, ${sumsSql(table)} FROM (SELECT ${hashedSql(table)} AS d, ${bucketSql(table, of)} AS b ${fromWhere(table, 'true')} OFFSET 0) q GROUP BY b`);
  return new Map(rows.map(({ bucket, ...sum }) => [bucket, sum]));
}

/** The key `rows` further in key order within the range (`lower` excluded); undefined when fewer are left. Reads the key's index only. */
export async function nextBound(client: ClientBase, table: DigestTable, range: KeyRange, rows: number): Promise<readonly string[] | undefined> {
  const order = table.key.map((column) => `t.${quoteIdent(column.name)}`).join(', ');
  const found = await readJson<{ key: string[] }>(client, `SELECT ${table.keyText} AS key FROM ${quoteTable(table.table)} t WHERE ${rangePredicate(table, range)} ORDER BY ${order} OFFSET ${rows - 1} LIMIT 1`);
  return found[0]?.key;
}

export interface RowDigest {
  /** For a keyless table its one element is the digest. */
  readonly key: readonly string[];
  readonly digest: string;
}

/** Digests of a chunk's rows. Equal rows of a keyless table come as one, their number behind the digest. */
export function readDigests(client: ClientBase, table: DigestTable, ranges: readonly ChunkRange[]): Promise<RowDigest[]> {
  const predicate = `(${ranges.map((range) => rangePredicate(table, range)).join(' OR ')})`;
  if (table.isKeyless) return readJson<RowDigest>(client, `SELECT ARRAY[d] AS key, d || '*' || count(*) AS digest FROM (SELECT ${table.digest} AS d ${fromWhere(table, predicate)} OFFSET 0) q GROUP BY d`);
  return readJson<RowDigest>(client, `SELECT ${table.keyText} AS key, ${table.digest} AS digest ${fromWhere(table, predicate)}`);
}

export interface RowVersion {
  readonly digest: string;
  /** Changes with every write of the row: xmin and ctid of its version. */
  readonly version: string;
}

/** Looks rows up by key, as the database compares keys; the answer is by the position of the key in `keys`. */
export async function lookUpRows(client: ClientBase, table: DigestTable, keys: readonly (readonly string[])[]): Promise<Map<number, RowVersion>> {
  if (keys.length === 0) return new Map();
  const rows = table.isKeyless
    ? await readJson<RowVersion & { ord: number }>(client, `
        SELECT k.ord, q.d || '*' || q.n AS digest, q.v AS version
          FROM (SELECT d, count(*) AS n, md5(string_agg(v, ' ' ORDER BY v)) AS v FROM (SELECT ${table.digest} AS d, t.tableoid || ' ' || t.xmin || ' ' || t.ctid AS v ${fromWhere(table, 'true')} OFFSET 0) r WHERE d = ANY ($1::text[]) GROUP BY d) q
          JOIN unnest($1::text[]) WITH ORDINALITY k(d, ord) ON k.d = q.d`, [keys.map((key) => key[0] ?? '')])
    : await readJson<RowVersion & { ord: number }>(client, `
        SELECT k.ord, ${table.digest} AS digest, t.tableoid || ' ' || t.xmin || ' ' || t.ctid AS version
          FROM ${keyList(table)} JOIN ${quoteTable(table.table)} t ON ${keyJoin(table)}${table.where === undefined ? '' : ` WHERE (${table.where})`}`, keyArrays(table, keys));
  return new Map(rows.map(({ ord, ...row }) => [ord - 1, row]));
}

/** A FROM item `k(k0, k1 …, ord)` over one text array parameter per key column. */
export function keyList(table: DigestTable): string {
  const names = table.key.map((_, at) => `k${at}`);
  return `unnest(${names.map((_, at) => `$${at + 1}::text[]`).join(', ')}) WITH ORDINALITY k(${[...names, 'ord'].join(', ')})`;
}

export function keyJoin(table: DigestTable): string {
  return table.key.map((column, at) => `t.${quoteIdent(column.name)} = k.k${at}::${column.type}`).join(' AND ');
}

export function keyArrays(table: DigestTable, keys: readonly (readonly string[])[]): string[][] {
  return table.key.map((_, at) => keys.map((key) => key[at] ?? ''));
}

const raw = { getTypeParser: () => (value: string | Buffer): string => value.toString() };

/** Whole rows as text in column order, for reports and repairs; by the position of the key. Keyless: one row of each digest. */
export async function readRows(client: ClientBase, table: DigestTable, keys: readonly (readonly string[])[]): Promise<Map<number, readonly (string | null)[]>> {
  const columns = table.columns.map((name) => `t.${quoteIdent(name)}`).join(', ');
  const filter = table.where === undefined ? '' : ` AND (${table.where})`;
  const text = table.isKeyless
    ? `SELECT DISTINCT ON (k.ord) k.ord, ${columns} FROM unnest($1::text[]) WITH ORDINALITY k(d, ord) JOIN ${quoteTable(table.table)} t ON ${table.digest} = k.d${filter} ORDER BY k.ord`
    : `SELECT k.ord, ${columns} FROM ${keyList(table)} JOIN ${quoteTable(table.table)} t ON ${keyJoin(table)}${filter}`;
  const values = table.isKeyless ? [keys.map((key) => key[0] ?? '')] : keyArrays(table, keys);
  const result = await client.query({ text, values, rowMode: 'array', types: raw } as const);
  return new Map((result.rows as (string | null)[][]).map((row) => [Number(row[0]) - 1, row.slice(1)]));
}

/** Current end of the server's WAL, as text; on a standby, what it has replayed. */
export async function readWalPosition(client: ClientBase): Promise<string> {
  const rows = await readJson<{ lsn: string }>(client, 'SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END::text AS lsn');
  return rows[0]?.lsn ?? '0/0';
}

/** How many rows the table may hold at most: statistics, or its size where it was never analysed. */
export async function estimateRows(client: ClientBase, table: QualifiedName): Promise<number> {
  const rows = await readJson<{ rows: number }>(client, `
    WITH RECURSIVE tree(oid) AS (SELECT to_regclass($1)::oid UNION ALL SELECT h.inhrelid FROM tree t JOIN pg_inherits h ON h.inhparent = t.oid)
    SELECT coalesce(sum(greatest(c.reltuples, pg_relation_size(c.oid) / 100)), 0)::int8 AS rows FROM tree t JOIN pg_class c ON c.oid = t.oid AND c.relkind = 'r'`, [quoteTable(table)]);
  return rows[0]?.rows ?? 0;
}

/** Types whose order is the same on every server. */
const orderedTypes = new Set(['bool', 'int2', 'int4', 'int8', 'oid', 'uuid', 'date', 'time', 'timestamp', 'timestamptz', 'numeric', 'bytea', 'char', 'name', 'pg_lsn', 'macaddr', 'inet', 'interval']);

/** The provider has a column from 15 on, the built-in one its locale from 17 on; through JSON the query reads on every version. */
const databaseCollation = `(SELECT CASE coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') WHEN 'c' THEN d.datcollate WHEN 'b' THEN to_jsonb(d) ->> 'datlocale' ELSE 'icu' END
             FROM pg_database d WHERE d.datname = current_database())`;

/** What decides the order of a key on one server; two servers with the same text chunk by ranges, others by hash buckets. */
export async function keyOrdering(client: ClientBase, table: DigestTable): Promise<string> {
  const rows = await readJson<{ name: string; type: string; collation: string | null; encoding: string }>(client, `
    WITH RECURSIVE base(attname, oid, attcollation) AS (
      SELECT attname, atttypid, attcollation FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
      UNION ALL SELECT b.attname, t.typbasetype, b.attcollation FROM base b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype = 'd')
    SELECT b.attname AS name, t.typname AS type, current_setting('server_encoding') AS encoding,
           CASE WHEN c.collprovider = 'd' THEN ${databaseCollation} ELSE c.collcollate END AS collation
      FROM base b JOIN pg_type t ON t.oid = b.oid AND t.typtype <> 'd' LEFT JOIN pg_collation c ON c.oid = b.attcollation`, [quoteTable(table.table)]);
  const parts = table.key.map((column) => {
    const row = rows.find((each) => each.name === column.name);
    if (row === undefined) return 'missing';
    if (orderedTypes.has(row.type)) return 'ordered';
    // Byte order, whatever the version of the server's collation library; "C.UTF-8" is code point order.
    const isByteOrder = (row.type === 'text' || row.type === 'varchar') && /^(C|POSIX|C\.UTF-?8)$/i.test(row.collation ?? '') && row.encoding === 'UTF8';
    return isByteOrder ? 'ordered' : `unordered ${row.type}`;
  });
  return parts.every((part) => part === 'ordered') ? 'ordered' : parts.join(', ');
}
