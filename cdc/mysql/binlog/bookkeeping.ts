/**
 * Markers and tags are rows of two tables of ours on the captured server, as on PostgreSQL (docs/decisions/0002): a marker is an upsert into
 * `causeway`.`marker`, the tag of an applier's transaction is its first change, to `causeway`.`applied`.
 */
import { parseColumnType } from '../column-type.ts';
import type { ColumnFacts } from './column-facts.ts';
import type { Marker, RowsChange } from './transaction.ts';

export const bookkeepingSchema = 'causeway';

/** Idempotent; one statement each. */
export const createBookkeeping: readonly string[] = [
  'CREATE DATABASE IF NOT EXISTS causeway CHARACTER SET utf8',
  'CREATE TABLE IF NOT EXISTS causeway.marker (name varchar(190) CHARACTER SET utf8 COLLATE utf8_bin NOT NULL PRIMARY KEY, token varchar(64) CHARACTER SET ascii NOT NULL) ENGINE=InnoDB',
  // What changes nothing is not in the binlog: `turn` makes every tag a change.
  `CREATE TABLE IF NOT EXISTS causeway.applied (stream varchar(190) CHARACTER SET utf8 COLLATE utf8_bin NOT NULL PRIMARY KEY, position bigint unsigned NOT NULL, token varchar(64) CHARACTER SET ascii NOT NULL,
    turn bigint unsigned NOT NULL DEFAULT 0, spool_id varchar(190) CHARACTER SET ascii NULL, spool_end bigint unsigned NULL, system_id varchar(190) CHARACTER SET ascii NULL, timeline int unsigned NULL) ENGINE=InnoDB`,
];

const number = (name: string, type = 'bigint unsigned'): ColumnFacts => ({ name, type: parseColumnType(type), charset: undefined, definition: type });
const text = (name: string): ColumnFacts => ({ name, type: parseColumnType('varchar(190)'), charset: 'utf8mb4', definition: 'varchar(190)' });
const facts: Readonly<Record<string, readonly ColumnFacts[]>> = {
  marker: [text('name'), text('token')],
  applied: [text('stream'), number('position'), text('token'), number('turn'), text('spool_id'), number('spool_end'), text('system_id'), number('timeline', 'int unsigned')],
};

/** Our own tables are known without the catalog; undefined for another table of the schema. */
export function bookkeepingFacts(name: string): readonly ColumnFacts[] | undefined {
  return facts[name];
}

/** Undefined when the change is not to the table of markers. */
export function markersOf(change: RowsChange): readonly Marker[] | undefined {
  if (change.table.schema !== bookkeepingSchema || change.table.name !== 'marker') return undefined;
  return change.new.map(([name, token]) => ({ name: name ?? '', token: token ?? '' }));
}

/** Name of the stream whose applier wrote this; undefined when the change is not to the table of positions. */
export function tagOf(change: RowsChange): string | undefined {
  if (change.table.schema !== bookkeepingSchema || change.table.name !== 'applied') return undefined;
  return (change.new[0] ?? change.old[0])?.[0] ?? undefined;
}
