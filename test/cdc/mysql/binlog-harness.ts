/** A reader on a real server, and what came out of it up to a marker. */
import { randomUUID } from 'node:crypto';
import { parseColumnType } from '../../../cdc/mysql/column-type.ts';
import { readBinlogEnd } from '../../../cdc/mysql/binlog/begin-dump.ts';
import { BinlogReader } from '../../../cdc/mysql/binlog/binlog-reader.ts';
import type { BinlogReaderOptions } from '../../../cdc/mysql/binlog/binlog-reader.ts';
import { createBookkeeping } from '../../../cdc/mysql/binlog/bookkeeping.ts';
import type { ColumnFacts, TableFacts } from '../../../cdc/mysql/binlog/column-facts.ts';
import { KnownDefinitions } from '../../../cdc/mysql/binlog/known-definitions.ts';
import { ReplicaConnection } from '../../../cdc/mysql/binlog/replica-connection.ts';
import type { BinlogItem, Row, StatementItem, TransactionPart } from '../../../cdc/mysql/binlog/transaction.ts';
import type { MysqlPosition } from '../../../cdc/mysql/position.ts';
import type { ReplicationAddress } from '../../../cdc/mysql/replication-address.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';

export function addressOf({ host, port, user, password }: TestMysql): ReplicationAddress {
  return { host, port, user, password };
}

export async function endOf(server: TestMysql): Promise<MysqlPosition> {
  const connection = await ReplicaConnection.open(addressOf(server));
  try {
    return await readBinlogEnd(connection);
  } finally {
    connection.close();
  }
}

/** The catalog as it is now. */
export function factsOf(server: TestMysql): TableFacts {
  return async (schema, name) => {
    const rows = await server.sql(`SELECT COLUMN_NAME AS n, COLUMN_TYPE AS t, CHARACTER_SET_NAME AS c FROM information_schema.COLUMNS
      WHERE TABLE_SCHEMA = '${schema}' AND TABLE_NAME = '${name}' ORDER BY ORDINAL_POSITION`);
    if (rows.length === 0) return undefined;
    return rows.map((row): ColumnFacts => ({ name: row['n'] ?? '', type: parseColumnType(row['t'] ?? ''), charset: row['c'] ?? undefined, definition: `${row['t']} ${row['c']}` }));
  };
}

export const noFacts: TableFacts = () => Promise.resolve(undefined);

export function openReader(server: TestMysql, start: MysqlPosition, options: Partial<BinlogReaderOptions> = {}): Promise<BinlogReader> {
  return BinlogReader.open({ address: addressOf(server), start, replicaId: 4242, captures: (schema) => schema === 'shop', facts: factsOf(server), ...options });
}

export async function installMarkers(server: TestMysql): Promise<void> {
  for (const statement of createBookkeeping) await server.sql(statement);
}

export async function writeMarker(server: TestMysql): Promise<string> {
  const token = randomUUID();
  await server.sql(`INSERT INTO causeway.marker (name, token) VALUES ('test', '${token}') ON DUPLICATE KEY UPDATE token = VALUES(token)`);
  return token;
}

export interface Collected {
  readonly items: readonly BinlogItem[];
  readonly position: MysqlPosition;
  readonly resume: MysqlPosition;
}

/** Reads until everything that is committed now has come, and ends the reader. */
export async function readToNow(server: TestMysql, reader: BinlogReader): Promise<Collected> {
  const token = await writeMarker(server);
  return readToMarker(reader, token);
}

export async function readToMarker(reader: BinlogReader, token: string): Promise<Collected> {
  const items: BinlogItem[] = [];
  try {
    for await (const batch of reader.batches()) {
      items.push(...batch.items);
      if (batch.items.some((item) => item.kind === 'transaction' && item.markers.some((marker) => marker.token === token))) return { items, position: batch.position, resume: batch.resume };
    }
  } finally {
    reader.close();
  }
  throw new Error('the stream ended before the marker');
}

export function transactionsOf(items: readonly BinlogItem[]): readonly TransactionPart[] {
  return items.filter((item) => item.kind === 'transaction' && item.changes.length > 0).map((item) => item as TransactionPart);
}

export function statementsOf(items: readonly BinlogItem[]): readonly StatementItem[] {
  return items.filter((item) => item.kind === 'statement');
}

/** Rows of one table after all changes, by their first column. */
export function replay(items: readonly BinlogItem[], table: string): ReadonlyMap<string, Row> {
  const rows = new Map<string, Row>();
  const keyOf = (row: Row): string => String(row[0]);
  for (const transaction of transactionsOf(items)) {
    for (const change of transaction.changes.filter((one) => one.table.name === table)) {
      change.old.forEach((row) => rows.delete(keyOf(row)));
      change.new.forEach((row) => rows.set(keyOf(row), row));
    }
  }
  return rows;
}

/** The table's definition, in force from that place on: nothing is held back until it is known how it is to be read. */
export async function knownFrom(server: TestMysql, place: MysqlPosition, table: string): Promise<KnownDefinitions> {
  const known = new KnownDefinitions();
  known.noteFirst({ schema: 'shop', name: table, columns: (await factsOf(server)('shop', table)) ?? [], asked: place, from: place });
  return known;
}
