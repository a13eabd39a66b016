/** What the server's catalog says of a column that the binlog may not: names, signs, character sets, labels, and types that are stored as plain bytes. */
import { MigrationError } from '../../../config/migration-error.ts';
import type { ColumnType } from '../column-type.ts';
import type { MysqlColumn } from '../definition.ts';
import { columnType } from './event.ts';
import type { TableMap } from './table-map.ts';

export interface ColumnFacts {
  readonly name: string;
  readonly type: ColumnType;
  /** Undefined for types without one. */
  readonly charset: string | undefined;
  /** Everything that makes a value of another one of local. */
  readonly definition: string;
  /** All that the catalog says of it: what makes its conversion to local, also when the table has long been redefined. */
  readonly described?: MysqlColumn;
}

/** The catalog as it is now; undefined when the table is not known. Asked where nothing is known of the definition that rows were written under (`KnownDefinitions`). */
export type TableFacts = (schema: string, name: string) => Promise<readonly ColumnFacts[] | undefined>;

const c = columnType;
const texts: readonly number[] = [c.blob, c.tinyBlob, c.mediumBlob, c.longBlob, c.blobCompressed];
/** Type of the catalog → types under which the binlog has its values. */
const storedAs: Readonly<Record<string, readonly number[]>> = {
  tinyint: [c.tiny], smallint: [c.short], mediumint: [c.int24], int: [c.long], bigint: [c.longLong], float: [c.float], double: [c.double], decimal: [c.newDecimal], bit: [c.bit], year: [c.year],
  date: [c.date, c.newDate], time: [c.time, c.time2], datetime: [c.datetime, c.datetime2], timestamp: [c.timestamp, c.timestamp2], char: [c.string], binary: [c.string],
  varchar: [c.varchar, c.varString, c.varcharCompressed], varbinary: [c.varchar, c.varString, c.varcharCompressed], enum: [c.enum], set: [c.set], json: [c.json, ...texts], vector: [c.vector, c.varchar, ...texts],
  uuid: [c.string], inet4: [c.string], inet6: [c.string],
  tinytext: texts, text: texts, mediumtext: texts, longtext: texts, tinyblob: texts, blob: texts, mediumblob: texts, longblob: texts,
};
const geometry: readonly number[] = [c.geometry];

/** The events were written under another definition than the catalog's: MIG011. */
export function assertFactsMatch(map: TableMap, facts: readonly ColumnFacts[]): void {
  const mismatch = facts.length === map.columns.length
    ? facts.find((fact, index) => !(storedAs[fact.type.name] ?? geometry).includes(map.columns[index]?.type ?? -1))?.name
    : `${map.columns.length} columns in the binlog, ${facts.length} in the catalog`;
  if (mismatch === undefined) return;
  throw new MigrationError('MIG011', `the definition of ${map.schema}.${map.name} is not the one under which its changes were written`, {
    detail: mismatch, tableName: map.name, hint: 'RESYNC MIGRATION FOR TABLE … starts the table again. With binlog_row_metadata = FULL the binlog itself says how each change is to be read.',
  });
}
