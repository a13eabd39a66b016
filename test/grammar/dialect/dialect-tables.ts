/** The tables that the corpora of the dialects run over, the same on both engines, with rows on which careless translations differ. */
import type { ColumnFacts, DialectCapabilities, TableFacts } from '../../../grammar/dialect/mysql/translation.ts';

interface ColumnDefinition {
  readonly name: string;
  /** On PostgreSQL, as format_type has it. */
  readonly type: string;
  /** On MySQL, with its attributes. */
  readonly mysql: string;
  readonly facts: Partial<ColumnFacts> & Pick<ColumnFacts, 'mysqlType'>;
  readonly notNull?: boolean;
}

interface TableDefinition {
  readonly name: string;
  readonly columns: readonly ColumnDefinition[];
  readonly primaryKey: readonly string[];
  readonly unique?: readonly (readonly string[])[];
  readonly rows: readonly (readonly (string | null)[])[];
}

const text = (name: string, notNull = false): ColumnDefinition => ({
  name, type: 'text', mysql: 'varchar(180) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci', facts: { mysqlType: 'varchar', charset: 'utf8mb4', collation: 'utf8mb4_general_ci' }, notNull,
});
const plain = (name: string, type: string, mysql: string, notNull = false, facts: Partial<ColumnFacts> = {}): ColumnDefinition => ({
  name, type, mysql, notNull, facts: { mysqlType: /^\w+/.exec(mysql)?.[0] ?? mysql, ...facts },
});
const identity = (name: string): ColumnDefinition => plain(name, 'integer', 'int', true, { autoIncrement: true });

const items: TableDefinition = {
  name: 'items', primaryKey: ['id'],
  columns: [
    identity('id'), text('name'),
    { name: 'code', type: 'character varying(20)', mysql: 'varchar(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci', facts: { mysqlType: 'varchar', charset: 'latin1', collation: 'latin1_swedish_ci' } },
    plain('qty', 'integer', 'int'), plain('price', 'numeric(10,2)', 'decimal(10,2)'), plain('ratio', 'double precision', 'double'), plain('active', 'boolean', 'tinyint(1)'), plain('created', 'date', 'date'),
    plain('changed', 'timestamp without time zone', 'datetime(6)', false, { fraction: 6 }), plain('seen', 'timestamp with time zone', 'timestamp(6) NULL', false, { fraction: 6 }),
    plain('big', 'bigint', 'bigint'), plain('small', 'smallint', 'smallint'), plain('stock', 'bigint', 'int unsigned', false, { unsigned: true }), text('note'), plain('data', 'json', 'json'), plain('bytes', 'bytea', 'varbinary(50)'),
  ],
  rows: [
    ['1', 'Apple', 'A-1', '10', '1.50', '0.5', '1', '2024-01-31', '2024-01-31 23:59:59.999999', '2024-01-31 12:00:00.000000', '9223372036854775807', '32767', '4294967295', 'it\'s', '{"a": 1, "b": [1, 2]}', '\\x00ff'],
    ['2', 'apple', 'a-1', '0', '0.00', '-0.1', '0', '2024-02-29', '2024-02-29 00:00:00.000000', '2024-02-29 08:30:00.500000', '-9223372036854775808', '-32768', '0', 'back\\slash', '{"a": null}', '\\x'],
    ['3', 'APPLE ', 'A-1 ', '-7', '-2.45', '1e100', '1', '1970-01-01', '1970-01-01 00:00:00.000001', '1970-01-02 00:00:00.000000', '0', '0', '1', '', '[]', null],
    ['4', 'Äpfel', 'ä', null, '99999999.99', '123456789.125', null, '9999-12-31', '9999-12-31 23:59:59.000000', '2037-12-31 23:59:59.000000', '9007199254740993', '7', '10', 'percent%under_score', '"x"', '\\x616263'],
    ['5', null, null, '2147483647', null, null, '0', null, null, null, null, null, null, null, null, null],
    ['6', 'apfel', 'zz', '-2147483648', '10.05', '3', '1', '2000-12-25', '2000-12-25 12:34:56.789000', '2000-12-25 12:34:56.789000', '42', '-5', '42', 'x"y', '{"a": "text", "c": true}', '\\xde'],
    ['7', 'straße', 'ß', '7', '0.01', '1e-7', '0', '2024-12-30', '2024-12-30 06:07:08.500000', '2024-12-30 06:07:08.500000', '-1', '1', '7', '😀 emoji', '{"a": 1.5}', '\\xff'],
    ['8', '', '', '3', '2.50', '-2.5', null, '2023-01-01', '2023-01-01 00:00:00.000000', '2023-01-01 00:00:00.000000', '100', '2', '3', ' lead and trail ', 'null', '\\x41'],
    ['9', 'banana', 'B-2', '3', '2.50', '100', '1', '2023-01-01', '2023-03-26 02:30:00.000000', '2023-03-26 02:30:00.000000', '100', '2', '3', 'line\nbreak\ttab', '7', '\\x42'],
    ['10', 'Banana', 'b-2', '5', '7.77', '0', '1', '2021-06-15', '2021-06-15 10:20:30.400000', '2021-06-15 10:20:30.400000', '-100', '-2', '2147483648', 'ÿ µ é', '{}', '\\x61'],
  ],
};

const people: TableDefinition = {
  name: 'people', primaryKey: ['id'], unique: [['badge']],
  columns: [
    plain('id', 'integer', 'int', true),
    { name: 'name', type: 'character varying(50)', mysql: 'varchar(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci', facts: { mysqlType: 'varchar', charset: 'utf8mb4', collation: 'utf8mb4_unicode_ci' }, notNull: true },
    plain('boss', 'integer', 'int'), text('city'), plain('born', 'date', 'date'), plain('badge', 'integer', 'int'), plain('salary', 'numeric(12,2)', 'decimal(12,2)', true),
  ],
  rows: [
    ['1', 'Ada', null, 'London', '1815-12-10', '11', '1000.00'], ['2', 'Bob', '1', 'london', '1990-05-05', '12', '250.50'], ['3', 'Cy', '1', null, '2000-02-29', null, '250.50'],
    ['4', 'dee', '2', 'Paris', null, '14', '0.00'], ['5', 'Ébo', '2', 'Paris ', '1969-07-20', '15', '99.99'], ['6', 'eve', '9', '', '1985-01-31', '16', '3333.33'],
  ],
};

const orders: TableDefinition = {
  name: 'orders', primaryKey: ['person', 'item'],
  columns: [plain('person', 'integer', 'int', true), plain('item', 'integer', 'int', true), plain('n', 'integer', 'int', true), plain('at', 'timestamp without time zone', 'datetime(6)', false, { fraction: 6 }), plain('paid', 'boolean', 'tinyint(1)', true)],
  rows: [
    ['1', '1', '2', '2024-03-01 10:00:00.000000', '1'], ['1', '2', '1', '2024-03-02 11:30:00.250000', '0'], ['2', '1', '5', '2024-03-02 11:30:00.250000', '1'], ['2', '9', '1', null, '0'],
    ['3', '3', '10', '2024-04-30 23:59:59.999999', '1'], ['4', '10', '3', '2023-12-31 00:00:00.000000', '1'], ['7', '4', '1', '2022-01-01 00:00:00.000000', '0'],
  ],
};

const counters: TableDefinition = {
  name: 'counters', primaryKey: ['id'],
  columns: [plain('id', 'bigint', 'bigint', true), plain('hits', 'bigint', 'bigint', true), text('label'), plain('a', 'integer', 'int'), plain('b', 'integer', 'int')],
  rows: [['1', '10', 'one', '1', '2'], ['2', '20', 'two', '3', '4'], ['3', '30', null, null, '6']],
};

const odd: TableDefinition = {
  name: 'Odd table', primaryKey: ['select'],
  columns: [plain('select', 'integer', 'int', true), plain('Mixed Case', 'integer', 'int'), plain('tick`quote', 'integer', 'int')],
  rows: [['1', '2', '3'], ['2', null, '5']],
};

const words: TableDefinition = {
  name: 'words', primaryKey: ['word'],
  columns: [text('word', true), plain('n', 'integer', 'int'), plain('token', 'bytea', 'binary(4)', false, { bytes: 4 })],
  rows: [['one', '1', '\\x00010203'], ['two', '2', null], ['three', '3', '\\xff000000']],
};

/** Types whose counterparts are not the obvious ones. */
const kinds: TableDefinition = {
  name: 'kinds', primaryKey: ['id'],
  columns: [
    plain('id', 'smallint', 'tinyint', true), plain('f', 'real', 'float'), { name: 'c', type: 'character(5)', mysql: 'char(5) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci', facts: { mysqlType: 'char', charset: 'utf8mb4', collation: 'utf8mb4_general_ci' } },
    plain('u', 'numeric(20,0)', 'bigint unsigned', false, { unsigned: true }), plain('y', 'smallint', 'year'), plain('t', 'timestamp(3) without time zone', 'datetime(3)', false, { fraction: 3 }), plain('z', 'timestamp(0) with time zone', 'timestamp NULL', false, { fraction: 0 }),
    plain('m', 'integer', 'mediumint'), plain('w', 'numeric(12,0)', 'decimal(12,0)'), { name: 'e', type: 'text', mysql: "enum('small','Big','ä') CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", facts: { mysqlType: 'enum', charset: 'utf8mb4', collation: 'utf8mb4_general_ci' } },
    { name: 'l', type: 'text', mysql: 'mediumtext CHARACTER SET latin1 COLLATE latin1_general_cs', facts: { mysqlType: 'mediumtext', charset: 'latin1', collation: 'latin1_general_cs' } },
  ],
  rows: [
    ['1', '0.1', 'ab', '18446744073709551615', '2024', '2024-01-01 10:00:00.123', '2024-01-01 10:00:00', '-8388608', '123456789012', 'small', 'Ä ö'], ['2', '-2.5', 'AB', '0', '1999', '1999-12-31 23:59:59.999', '1999-12-31 23:59:59', '8388607', '-1', 'Big', 'x '],
    ['3', '16777216', '', '9223372036854775808', '1901', null, null, '0', '0', 'ä', ''], ['4', null, null, null, null, '2000-02-29 00:00:00.000', '2000-02-29 00:00:00', null, null, null, null], ['5', '3.4e38', 'é', '7', '2155', '2024-01-01 10:00:00.120', '2024-01-01 10:00:01', '-7', '7', 'small', 'X'],
  ],
};

export const dialectTables: readonly TableDefinition[] = [items, people, orders, counters, odd, words, kinds];

export function createOnPostgres(): readonly string[] {
  return dialectTables.map((table) => {
    const columns = table.columns.map((column) => `${quote(column.name)} ${column.type}${column.facts.autoIncrement === true ? ' GENERATED BY DEFAULT AS IDENTITY' : ''}${column.notNull === true ? ' NOT NULL' : ''}`);
    return `CREATE TABLE ${quote(table.name)} (${[...columns, `PRIMARY KEY (${table.primaryKey.map(quote).join(', ')})`, ...(table.unique ?? []).map((key) => `UNIQUE (${key.map(quote).join(', ')})`)].join(', ')})`;
  });
}

export function createOnMysql(capabilities: DialectCapabilities): readonly string[] {
  return dialectTables.map((table) => {
    const columns = table.columns.map((column) => `${tick(column.name)} ${column.mysql === 'json' && capabilities.json !== 'type' ? 'longtext' : column.mysql}${column.notNull === true ? ' NOT NULL' : ''}${column.facts.autoIncrement === true ? ' AUTO_INCREMENT' : ''}`);
    return `CREATE TABLE ${tick(table.name)} (${[...columns, `PRIMARY KEY (${table.primaryKey.map(tick).join(', ')})`, ...(table.unique ?? []).map((key) => `UNIQUE (${key.map(tick).join(', ')})`)].join(', ')}) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`;
  });
}

export function dialectFacts(): readonly TableFacts[] {
  return dialectTables.map((table) => ({
    schema: 'public', name: table.name, mysqlDatabase: 'corpus', mysqlName: table.name, primaryKey: table.primaryKey, uniqueKeys: [table.primaryKey, ...(table.unique ?? [])],
    columns: table.columns.map((column) => ({ name: column.name, mysqlName: column.name, type: column.type, nullable: column.notNull !== true, ...column.facts })),
  }));
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const tick = (name: string): string => `\`${name.replaceAll('`', '``')}\``;

/** INSERT of one row; bytes as MySQL's hexadecimal constants or PostgreSQL's text. */
export function insertOf(table: TableDefinition, row: readonly (string | null)[], engine: 'postgres' | 'mysql'): string {
  const values = row.map((value, index) => {
    const type = table.columns[index]?.type;
    if (value === null) return 'NULL';
    const literal = `'${value.replaceAll("'", "''")}'`;
    if (engine === 'postgres') return type === 'timestamp with time zone' ? `'${value}+00'` : literal;
    return type === 'bytea' ? (value === '\\x' ? "''" : `X'${value.slice(2)}'`) : type === 'boolean' ? value : literal;
  });
  const name = engine === 'postgres' ? quote(table.name) : tick(table.name);
  return `INSERT INTO ${name} VALUES (${values.join(', ')})`;
}
