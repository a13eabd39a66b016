/** Errors of local as a MySQL server says them: numbers, SQLSTATEs and words that clients and frameworks look for. https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html */
import type { MigratedKey, MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import type { MysqlServer } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { NO_NUMBER } from '../../../grammar/dialect/postgres/read-strings.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';

/** Of an ErrorResponse, by their letters. */
export type LocalErrorFields = ReadonlyMap<string, string>;

/** The whole transaction has been rolled back at a MySQL server that says this. */
export const ROLLS_BACK = 1213;

const plain: Readonly<Record<string, readonly [code: number, sqlstate: string, message: string]>> = {
  '40001': [ROLLS_BACK, '40001', 'Deadlock found when trying to get lock; try restarting transaction'],
  '40P01': [ROLLS_BACK, '40001', 'Deadlock found when trying to get lock; try restarting transaction'],
  '55P03': [1205, 'HY000', 'Lock wait timeout exceeded; try restarting transaction'],
  '57014': [1317, '70100', 'Query execution was interrupted'],
  '22012': [1365, '22012', 'Division by 0'],
  '2201E': [1365, '22012', 'Division by 0'],
  '2201F': [1690, '22003', 'DOUBLE value is out of range'],
  '25006': [1792, '25006', 'Cannot execute statement in a READ ONLY transaction'],
  '3B001': [1305, '42000', 'SAVEPOINT does not exist'],
  '53100': [1021, 'HY000', 'Disk full'],
  '53200': [1041, 'HY000', 'Out of memory'],
};

const noLogarithm: (typeof plain)[string] = [3020, '2201E', 'Invalid argument for logarithm'];

/** `tables`: those that the statement names. */
export function localError(fields: LocalErrorFields, tables: readonly MigratedTable[], server: MysqlServer): MysqlError {
  const sqlstate = fields.get('C') ?? 'XX000';
  const message = fields.get('M') ?? '';
  const found = sqlstate === '2201E' && server.flavour === 'mysql' && server.version >= 50_700 ? noLogarithm : plain[sqlstate];
  if (found) return { code: found[0], sqlstate: found[1], message: sqlstate === '3B001' ? `SAVEPOINT ${quotedIn(message)} does not exist` : found[2] };
  // Unsigned numbers are calculated as it.
  if (message.startsWith('pg_lsn out of range')) return { code: 1690, sqlstate: '22003', message: 'BIGINT UNSIGNED value is out of range' };
  const table = tables.find(({ local }) => local.schema === fields.get('s') && local.name === fields.get('t'));
  switch (sqlstate) {
    case '23505':
      return duplicate(fields, table, server);
    case '23001':
    case '23503':
      return foreignKey(fields, table, tables);
    case '23502':
      return { code: 1048, sqlstate: '23000', message: `Column '${fields.get('c') ?? quotedIn(message)}' cannot be null` };
    case '23514':
      return outOfRange(fields, table) ?? { code: server.flavour === 'mariadb' ? 4025 : 3819, sqlstate: server.flavour === 'mariadb' ? '23000' : 'HY000', message: server.flavour === 'mariadb' ? `CONSTRAINT \`${fields.get('n') ?? ''}\` failed for ${tableName(table)}` : `Check constraint '${fields.get('n') ?? ''}' is violated.` };
    case '22001':
      return { code: 1406, sqlstate: '22001', message: `Data too long for column '${columnOf(fields, tables)}' at row 1` };
    case '22003': {
      // Columns are filled from expressions of 64 bits: what exceeds those was calculated.
      if (/^value out of range: (?:over|under)flow/.test(message)) return { code: 1690, sqlstate: '22003', message: 'DOUBLE value is out of range' };
      if (message.startsWith('bigint out of range')) return { code: 1690, sqlstate: '22003', message: 'BIGINT value is out of range' };
      return { code: 1264, sqlstate: '22003', message: `Out of range value for column '${columnOf(fields, tables)}' at row 1` };
    }
    case '22007':
    case '22008':
      if (sqlstate === '22008' || message.includes('after the year 9999')) return { code: 1441, sqlstate: '22008', message: 'Datetime function: datetime field overflow' };
      return incorrect(quotedIn(message));
    case '22P02':
      // A TINYINT(1) holds 0 and 1 there.
      if (message.includes('for type boolean')) return { code: 1264, sqlstate: '22003', message: `Out of range value for column '${columnOf(fields, tables)}' at row 1` };
      if (message.includes('for enum ')) return { code: 1265, sqlstate: '01000', message: `Data truncated for column '${columnOf(fields, tables)}' at row 1` };
      return { code: 1366, sqlstate: 'HY000', message: `Incorrect value: '${quotedIn(message)}'` };
    case '21000':
      return { code: 1242, sqlstate: '21000', message: 'Subquery returns more than 1 row' };
    case '42P01':
      return { code: 1146, sqlstate: '42S02', message: `Table '${quotedIn(message)}' doesn't exist` };
    case '42703':
      return { code: 1054, sqlstate: '42S22', message: `Unknown column '${quotedIn(message)}' in 'field list'` };
    case '42501':
      return { code: 1142, sqlstate: '42000', message: `command denied on local: ${message}` };
    default:
      return { code: 1105, sqlstate: sqlstate.startsWith('XX') ? 'HY000' : sqlstate, message: [`local: ${message}`, fields.get('D'), fields.get('H')].filter(Boolean).join(' ') };
  }
}

/** PostgreSQL tells the type alone: it names the column where one of them has it. */
function columnOf(fields: LocalErrorFields, tables: readonly MigratedTable[]): string {
  const digits = /precision (\d+), scale (\d+)/.exec(fields.get('D') ?? '');
  const type = digits ? `numeric(${digits[1]},${digits[2]})` : /(?:for type (.+)|^"?(?:value ".*" is out of range for type )?(smallint|integer|bigint)\b)/.exec(fields.get('M') ?? '')?.slice(1).find(Boolean);
  const columns = tables.flatMap((table) => table.columns.filter((column) => column.type === type));
  return fields.get('c') ?? (columns.length === 1 ? columns[0]?.name : undefined) ?? '?';
}

/** Of a value that a date or a number was to be read from. */
function incorrect(value: string): MysqlError {
  const message = value.startsWith(NO_NUMBER) ? `Truncated incorrect DOUBLE value: '${value.slice(NO_NUMBER.length)}'` : `Incorrect datetime value: '${value}'`;
  return { code: 1292, sqlstate: '22007', message };
}

function quotedIn(message: string): string {
  return /"((?:[^"]|"")*)"/.exec(message)?.[1] ?? message;
}

function tableName(table: MigratedTable | undefined): string {
  return table === undefined ? '' : `\`${table.mysql.database}\`.\`${table.mysql.name}\``;
}

/** `Key (a, b)=(1, x) already exists.` Values with `, ` in them are not told apart, as at a MySQL server one cannot tell those with a dash. */
function duplicate(fields: LocalErrorFields, table: MigratedTable | undefined, server: MysqlServer): MysqlError {
  const [, names = '', values = ''] = /^Key \((.*?)\)=\((.*)\) already exists\.$/s.exec(fields.get('D') ?? '') ?? [];
  const key = table?.uniqueKeys.find(({ localName }) => localName === fields.get('n'));
  const entry = names.includes(', ') ? values.replaceAll(', ', '-') : values;
  return { code: 1062, sqlstate: '23000', message: `Duplicate entry '${entry}' for key '${keyName(key, fields, table, server)}'` };
}

/** From MySQL 8.0.19 on with the table's name. */
function keyName(key: MigratedKey | undefined, fields: LocalErrorFields, table: MigratedTable | undefined, { flavour, version }: MysqlServer): string {
  const name = key?.mysqlName ?? fields.get('n') ?? '';
  return flavour === 'mysql' && version >= 80_019 && table !== undefined ? `${table.mysql.name}.${name}` : name;
}

function foreignKey(fields: LocalErrorFields, table: MigratedTable | undefined, tables: readonly MigratedTable[]): MysqlError {
  const name = fields.get('n');
  // Of a key that restricts, or one whose parent's rows are still referenced.
  const isParent = fields.get('C') === '23001' || /is (?:still )?referenced from/.test(fields.get('D') ?? '');
  const keys = [table, ...tables].flatMap((each) => (each === undefined ? [] : [...each.foreignKeys, ...each.referencedBy]));
  const key = keys.find(({ localName }) => localName === name);
  const list = (names: readonly string[]): string => names.map((each) => `\`${each}\``).join(', ');
  const rule = (action: string, on: string): string => (action === 'no action' || action === 'restrict' ? '' : ` ON ${on} ${action.toUpperCase()}`);
  const about = key === undefined ? `CONSTRAINT \`${name ?? ''}\`` : `\`${key.child.database}\`.\`${key.child.name}\`, CONSTRAINT \`${key.mysqlName}\` FOREIGN KEY (${list(key.columns)}) REFERENCES \`${key.parent.name}\` (${list(key.parentColumns)})${rule(key.onDelete, 'DELETE')}${rule(key.onUpdate, 'UPDATE')}`;
  return isParent
    ? { code: 1451, sqlstate: '23000', message: `Cannot delete or update a parent row: a foreign key constraint fails (${about})` }
    : { code: 1452, sqlstate: '23000', message: `Cannot add or update a child row: a foreign key constraint fails (${about})` };
}

/** The checks that keep a source type's range on local are errors of the range there. */
function outOfRange(fields: LocalErrorFields, table: MigratedTable | undefined): MysqlError | undefined {
  const name = fields.get('n') ?? '';
  const column = table?.columns.find((each) => name === `${table.mysql.name}_${each.name}_range`);
  if (!column) return undefined;
  const isText = /^(?:tiny|medium|long)?(?:text|blob)$|binary$/.test(column.mysqlType);
  return isText ? { code: 1406, sqlstate: '22001', message: `Data too long for column '${column.name}' at row 1` } : { code: 1264, sqlstate: '22003', message: `Out of range value for column '${column.name}' at row 1` };
}
