/** A migrated table as the translation from MySQL's dialect takes it. */
import type { MigratedColumn, MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import type { MysqlColumnFacts, MysqlTableFacts } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { quoteName } from '../../../grammar/names.ts';

const made = new WeakMap<MigratedTable, MysqlTableFacts>();

export function tableTranslation(table: MigratedTable): MysqlTableFacts {
  let facts = made.get(table);
  if (!facts) made.set(table, (facts = translated(table)));
  return facts;
}

function translated(table: MigratedTable): MysqlTableFacts {
  const whole = table.uniqueKeys.flatMap(({ columns }) => {
    const names = columns.filter((name) => name !== null);
    return names.length === columns.length ? [names] : [];
  });
  return {
    schema: table.local.schema, name: table.local.name, mysqlDatabase: table.mysql.database, mysqlName: table.mysql.name, columns: table.columns.map(column),
    primaryKey: table.primaryKey, uniqueKeys: whole,
    otherKeys: [...table.uniqueKeys.filter(({ mysqlName }) => mysqlName !== 'PRIMARY').map(({ columns }) => ({ isUnique: true, columns })), ...(table.otherKeys ?? []).map((columns) => ({ isUnique: false, columns }))], hasOtherUniqueKeys: whole.length < table.uniqueKeys.length, isReferenced: table.referencedBy.length > 0,
  };
}

function column(facts: MigratedColumn): MysqlColumnFacts {
  const { name, mysqlType, length, scale, unsigned, zerofill, labels, sequence } = facts;
  return {
    name, mysqlName: name, type: { name: mysqlType, length, scale, unsigned, zerofill, labels: labels ?? [] }, localType: facts.type, isLocalEnum: facts.isLocalEnum,
    charset: facts.charset, collation: facts.collation, padsBlanks: facts.padsBlanks, localCollation: facts.localCollation, nullable: facts.nullable,
    // A column that takes NULL has that for a default, unless local lacks the one that MySQL has.
    hasDefault: facts.hasLocalDefault || facts.autoIncrement || (facts.nullable && (facts.default === undefined || (facts.default.kind === 'expression' && facts.default.text === 'NULL'))),
    mustBeGiven: !facts.nullable && facts.default === undefined && !facts.autoIncrement && facts.generated === undefined,
    hasValueDefault: facts.default?.kind === 'literal' && !/^(?:-?0*(?:\.0*)?)$/.test(facts.default.text),
    autoIncrement: facts.autoIncrement, generated: facts.generated !== undefined, onUpdateNow: facts.onUpdateNow, defaultsToNow: facts.default?.kind === 'expression' && /^\(?(?:current_timestamp|now)\b/i.test(facts.default.text), isJsonText: facts.isJsonText, invisible: facts.isInvisible, exact: facts.exact || facts.hasZeroDate === true, hasZeroDate: facts.hasZeroDate === true,
    ...(sequence === undefined ? {} : { sequence: `${quoteName(sequence.schema)}.${quoteName(sequence.name)}` }),
  };
}
