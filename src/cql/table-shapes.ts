/**
 * Which columns of a table are lists and counters, as the cluster's own schema has them. Texts and the types of bind markers do not tell it all: a frozen list is bound as a list is,
 * and `m['x']` of a text is a map's or a list's. Asked when a write is to be sent a second time; what was told is taken as true for some seconds.
 */
import { isCounter, isMultiCell, parseCqlType } from '../../grammar/cql/type.ts';
import type { Clock } from '../../config/runtime.ts';
import { BodyReader } from '../wire/cql/body-reader.ts';
import { errorCodeAt, errorCodes } from '../wire/cql/error-body.ts';
import { messageStart, opcodes } from '../wire/cql/frame.ts';
import { queryBody } from '../wire/cql/query-body.ts';
import { readTextRows } from '../wire/cql/result-body.ts';
import type { ClusterIndex } from './modes.ts';

/** `plain`: written twice with one timestamp it is what it is written once. */
export type ColumnShape = 'list' | 'counter' | 'plain';
export type TableColumns = ReadonlyMap<string, ColumnShape>;

export interface NamedTable { readonly keyspace: string; readonly table: string }

interface Asked { call(opcode: number, body: Buffer, done: (buffer: Buffer | undefined, start: number, end: number) => void): void }

const FRESH_MS = 5000;
const MOST_TABLES = 1000;

export class TableShapes {
  readonly #clock: Clock;
  readonly #known = new Map<string, { readonly untilMs: number; readonly columns: TableColumns }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Undefined: not asked of late. Empty: the cluster has no such table, or does not tell. */
  of(cluster: ClusterIndex, table: NamedTable): TableColumns | undefined {
    const found = this.#known.get(keyOf(cluster, table));
    return found && found.untilMs > this.#clock.monotonicMs() ? found.columns : undefined;
  }

  /** `done(false)` when the connection was lost before the answer, or the cluster cannot answer now. */
  ask(cluster: ClusterIndex, connection: Asked, table: NamedTable, done: (isTold: boolean) => void): void {
    const text = `SELECT column_name, type FROM system_schema.columns WHERE keyspace_name = ${quote(table.keyspace)} AND table_name = ${quote(table.table)}`;
    connection.call(opcodes.query, queryBody(text), (buffer, start, end) => {
      if (!buffer || isPassing(buffer, start, end)) {
        done(false);
        return;
      }
      if (this.#known.size >= MOST_TABLES) this.#known.clear();
      this.#known.set(keyOf(cluster, table), { untilMs: this.#clock.monotonicMs() + FRESH_MS, columns: columnsOf(buffer, start, end) });
      done(true);
    });
  }
}

/** It says nothing of the table. */
function isPassing(buffer: Buffer, start: number, end: number): boolean {
  if (buffer.readUInt8(start + 4) !== opcodes.error) return false;
  const code = errorCodeAt(buffer, messageStart(buffer, start, end));
  return code === errorCodes.overloaded || code === errorCodes.unavailable || code === errorCodes.bootstrapping || code === errorCodes.readTimeout;
}

function columnsOf(buffer: Buffer, start: number, end: number): TableColumns {
  const columns = new Map<string, ColumnShape>();
  if (buffer.readUInt8(start + 4) !== opcodes.result) return columns;
  for (const [name = '', type = ''] of readTextRows(new BodyReader(buffer, messageStart(buffer, start, end), end))) {
    const shape = shapeOf(utf8(type));
    if (shape !== undefined) columns.set(utf8(name), shape);
  }
  return columns;
}

function shapeOf(text: string): ColumnShape | undefined {
  const type = parseCqlType(text);
  if (type === undefined) return undefined;
  if (isCounter(type)) return 'counter';
  return type.kind === 'list' && isMultiCell(type) ? 'list' : 'plain';
}

function keyOf(cluster: ClusterIndex, { keyspace, table }: NamedTable): string {
  return `${cluster} ${keyspace}\0${table}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Rows of the proxy's own questions are told byte by byte. */
function utf8(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
