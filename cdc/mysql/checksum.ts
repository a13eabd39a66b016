/**
 * Chunk checksums computed inside MySQL, equal to those of `cdc/postgres/checksum.ts` over a `fieldDigestTable` for equal rows: the count, and
 * two sums of the signed 64-bit halves of the digest of each row's text.
 */
import type { FieldForm } from '../field-form.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { emptySum } from '../postgres/checksum.ts';
import type { ChunkRange, ChunkSum, KeyRange, RowDigest, RowVersion } from '../postgres/checksum.ts';
import type { TablePlan } from '../table-plan.ts';
import { fieldForm, hashed, keyFieldText, keyHash, rowText } from './field-text.ts';
import { boundOf, keyAfter, keyBefore } from './key-range.ts';
import { isByteType, isCharacterType } from './column-type.ts';
import type { AskMysql } from './connect.ts';
import { bytesSql, mysqlName, mysqlTableName } from './query.ts';
import type { SourceColumn } from './source-column.ts';

export interface MysqlDigestTable {
  readonly table: QualifiedName;
  readonly columns: readonly SourceColumn[];
  readonly key: readonly SourceColumn[];
  readonly forms: readonly FieldForm[];
  readonly where: string | undefined;
  /** SQL for the digest of a row. */
  readonly digest: string;
  /** SQL for the texts of the key, one for each of its columns; the digest of a keyless table. */
  readonly keyTexts: readonly string[];
  readonly bucketHash: string;
  /** Both engines order the key alike, so that chunks can be ranges of it. */
  readonly isOrdered: boolean;
}

/** The session is `mysqlSession`. `columns`: of the plan, in its order. */
export function mysqlDigestTable(plan: TablePlan, columns: readonly SourceColumn[]): MysqlDigestTable {
  const forms = columns.map((column) => fieldForm(column.type, column.local));
  const formOf = (column: SourceColumn): FieldForm => forms[columns.indexOf(column)] ?? { kind: 'text' };
  const key = plan.keyKind === 'full' ? [] : plan.key.flatMap((name) => columns.find((column) => column.name === name) ?? []);
  const digest = hashed(rowText(columns, forms));
  return {
    table: plan.source, columns, key, forms, where: plan.where, digest,
    keyTexts: key.length === 0 ? [digest] : key.map((column) => keyFieldText(column, formOf(column))),
    bucketHash: key.length === 0 ? digest : keyHash(key, key.map(formOf)),
    isOrdered: key.length > 0 && key.every((column) => isOrderedAlike(column, formOf(column))),
  };
}

/** Texts are ordered by collations, which two engines do not share; labels by their numbers here. A float's text here is no exact literal. */
function isOrderedAlike(column: SourceColumn, form: FieldForm): boolean {
  if (form.kind === 'bytes') return isByteType(column.type);
  return form.kind === 'number' || form.kind === 'date' || form.kind === 'datetime' || form.kind === 'instant';
}

function predicate(table: MysqlDigestTable, range: ChunkRange): string {
  if (range.type === 'bucket') return `${bucketSql(table, range.of)} = ${range.bucket}`;
  const bounds = [range.lower === null ? [] : keyAfter(table.key, range.lower.map((text, at) => toBound(table.key[at], text)), false), range.upper === null ? [] : keyBefore(table.key, range.upper.map((text, at) => toBound(table.key[at], text)), true)].flat();
  return bounds.length === 0 ? 'TRUE' : bounds.join(' AND ');
}

/** From the text of both engines to that of `boundOf`. */
function toBound(column: SourceColumn | undefined, text: string): string {
  if (column === undefined) return text;
  if (isByteType(column.type)) return text.slice(2);
  return text === '-infinity' ? '0000-00-00' : text;
}

function bucketSql(table: MysqlDigestTable, of: number): string {
  return `CONV(SUBSTR(${table.bucketHash}, 1, 7), 16, 10) % ${of}`;
}

function fromWhere(table: MysqlDigestTable, condition: string): string {
  return `FROM ${mysqlTableName(table.table)} WHERE ${condition}${table.where === undefined ? '' : ` AND (${table.where})`}`;
}

const half = (from: number): string => `IFNULL(SUM(CAST(CONV(SUBSTR(d, ${from}, 16), 16, -10) AS SIGNED)), 0)`;
const sums = `COUNT(*), ${half(1)}, ${half(17)}`;

function readSum([rows, high, low]: readonly (string | null)[]): ChunkSum {
  return { rows: Number(rows ?? 0), high: high ?? '0', low: low ?? '0' };
}

export async function checksumChunk(ask: AskMysql, table: MysqlDigestTable, range: ChunkRange): Promise<ChunkSum> {
  const [row] = await ask(`SELECT ${sums} FROM (SELECT ${table.digest} AS d ${fromWhere(table, predicate(table, range))}) q`);
  return row ? readSum(row) : emptySum;
}

/** All buckets in one scan; buckets without rows are not in the map. */
export async function checksumBuckets(ask: AskMysql, table: MysqlDigestTable, of: number): Promise<Map<number, ChunkSum>> {
  const rows = await ask(`SELECT b, ${sums} FROM (SELECT ${table.digest} AS d, ${bucketSql(table, of)} AS b ${fromWhere(table, 'TRUE')}) q GROUP BY b`);
  return new Map(rows.map(([bucket, ...sum]) => [Number(bucket), readSum(sum)]));
}

/** The key `rows` further in key order within the range (`lower` excluded); undefined when fewer are left. Reads the key's index only. */
export async function nextBound(ask: AskMysql, table: MysqlDigestTable, range: KeyRange, rows: number): Promise<readonly string[] | undefined> {
  const order = table.key.map((column) => mysqlName(column.name)).join(', ');
  const [row] = await ask(`SELECT ${table.keyTexts.join(', ')} FROM ${mysqlTableName(table.table)} WHERE ${predicate(table, range)} ORDER BY ${order} LIMIT 1 OFFSET ${rows - 1}`);
  return row?.map((text) => text ?? '');
}

/** Digests of a chunk's rows. Equal rows of a keyless table come as one, their number behind the digest. */
export async function readDigests(ask: AskMysql, table: MysqlDigestTable, ranges: readonly ChunkRange[]): Promise<RowDigest[]> {
  const condition = `(${ranges.map((range) => predicate(table, range)).join(' OR ')})`;
  if (table.key.length === 0) {
    const rows = await ask(`SELECT d, CONCAT(d, '*', COUNT(*)) FROM (SELECT ${table.digest} AS d ${fromWhere(table, condition)}) q GROUP BY d`);
    return rows.map(([digest, counted]) => ({ key: [digest ?? ''], digest: counted ?? '' }));
  }
  const rows = await ask(`SELECT ${table.digest}, ${table.keyTexts.join(', ')} ${fromWhere(table, condition)}`);
  return rows.map(([digest, ...key]) => ({ key: key.map((text) => text ?? ''), digest: digest ?? '' }));
}

/** Looks rows up by key; the answer is by the position of the key in `keys`. A row's version is its digest: the server has no other mark of a write. */
export async function lookUpRows(ask: AskMysql, table: MysqlDigestTable, keys: readonly (readonly string[])[]): Promise<Map<number, RowVersion>> {
  if (keys.length === 0) return new Map();
  const rows = await ask(`SELECT ${table.digest}, ${table.keyTexts.join(', ')} ${fromWhere(table, byKey(table, keys))}`);
  if (table.key.length === 0) return countAlike(rows, keys);
  return at(rows.map(([digest, ...key]) => [key, { digest: digest ?? '', version: digest ?? '' }]), keys);
}

/** Rows with their digests, of one moment. Texts are the canonical ones, from which `toLocal` makes local's; by the position of the key. */
export async function readDigestedRows(ask: AskMysql, table: MysqlDigestTable, keys: readonly (readonly string[])[]): Promise<Map<number, { readonly digest: string; readonly row: readonly (string | null)[] }>> {
  if (keys.length === 0) return new Map();
  const rows = await ask(`SELECT ${[table.digest, ...table.keyTexts, ...table.columns.map(shownValue)].join(', ')} ${fromWhere(table, byKey(table, keys))}`);
  const behind = 1 + table.keyTexts.length;
  return at(rows.map(([digest, ...row]) => [row.slice(0, behind - 1), { digest: digest ?? '', row: row.slice(behind - 1) }]), keys);
}

/** Whole rows in column order, as the protocol has them: for reports. Of a keyless table one row of each digest. */
export async function readRows(ask: AskMysql, table: MysqlDigestTable, keys: readonly (readonly string[])[]): Promise<Map<number, readonly (string | null)[]>> {
  if (keys.length === 0) return new Map();
  const rows = await ask(`SELECT ${[...table.keyTexts, ...table.columns.map(shownValue)].join(', ')} ${fromWhere(table, byKey(table, keys))}`);
  return at(rows.map((row) => [row.slice(0, table.keyTexts.length), row.slice(table.keyTexts.length)]), keys);
}

function shownValue(column: SourceColumn): string {
  const name = mysqlName(column.name);
  if (isByteType(column.type)) return bytesSql(name);
  if (column.type.name === 'bit') return `LPAD(BIN(${name} + 0), ${column.type.length ?? 1}, '0')`;
  return column.type.name === 'float' || column.type.name === 'double' ? `${name} * 1e0` : name;
}

function byKey(table: MysqlDigestTable, keys: readonly (readonly string[])[]): string {
  if (table.key.length === 0) return `${table.digest} IN (${keys.map(([digest]) => `'${(digest ?? '').replaceAll(/[^0-9a-f]/g, '')}'`).join(', ')})`;
  return `(${keys.map((key) => `(${keyCondition(table, key)})`).join(' OR ')})`;
}

/** Of one row of a table with a key, which its index finds; another spelling of it that the server takes for equal is meant too. */
export function keyCondition(table: MysqlDigestTable, key: readonly string[]): string {
  return table.key.map((column, index) => `${mysqlName(column.name)} = ${valueOf(column, key[index] ?? '')}`).join(' AND ');
}

function valueOf(column: SourceColumn, text: string): string {
  if (isCharacterType(column.type)) return `CONVERT(_utf8mb4 x'${Buffer.from(text).toString('hex')}' USING ${column.charset ?? 'utf8mb4'})${column.collation === undefined ? '' : ` COLLATE ${column.collation}`}`;
  if (column.type.name === 'enum' || column.type.name === 'set') return `_utf8mb4 x'${Buffer.from(text).toString('hex')}'`;
  if (column.type.name === 'bit') return `b'${text.replaceAll(/[^01]/g, '')}'`;
  return boundOf(column, toBound(column, text));
}

function at<T>(found: readonly (readonly [readonly (string | null)[], T])[], keys: readonly (readonly string[])[]): Map<number, T> {
  const byText = new Map(found.map(([key, value]) => [key.join('\0'), value]));
  return new Map(keys.flatMap((key, index) => {
    const value = byText.get(key.join('\0'));
    return value === undefined ? [] : [[index, value] as const];
  }));
}

function countAlike(rows: readonly (readonly (string | null)[])[], keys: readonly (readonly string[])[]): Map<number, RowVersion> {
  const counts = new Map<string, number>();
  for (const [digest] of rows) counts.set(digest ?? '', (counts.get(digest ?? '') ?? 0) + 1);
  return at([...counts].map(([digest, count]) => [[digest], { digest: `${digest}*${count}`, version: String(count) }]), keys);
}
