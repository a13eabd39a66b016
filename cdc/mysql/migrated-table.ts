/** A MySQL table and what it becomes, as the translators of statements need it. Pure. */
import { createHash } from 'node:crypto';
import type { MigratedColumn, MigratedForeignKey, MigratedKey, MigratedTable } from '../../grammar/dialect/migrated-table.ts';
import { truncateName } from '../../grammar/names.ts';
import type { ColumnDefinition } from '../postgres/definition.ts';
import type { ConvertedTable } from './create-schema.ts';
import type { MysqlForeignKey, MysqlTable } from './definition.ts';
import { lossKinds, policyFor } from './type-loss.ts';
import type { LossKind } from './type-loss.ts';
import { mapColumn } from './type-map.ts';
import type { MappedColumn } from './type-map.ts';

/** `target`: its name on local. */
export function migratedTable(table: MysqlTable, { definition, mapped }: ConvertedTable, target: { readonly schema: string; readonly name: string }): MigratedTable {
  const columns = mapped.flatMap((each) => {
    const local = definition.columns.find(({ name }) => name === each.column.name);
    if (local === undefined) return [];
    const sequence = definition.sequences.find((one) => one.column === local.name);
    return [{ ...columnOf(each, local, table), ...(sequence === undefined ? {} : { sequence: { schema: sequence.schema, name: sequence.name } }) }];
  });
  const said = {
    mysql: { database: table.schema, name: table.name }, local: { schema: target.schema, name: target.name },
    server: { flavour: table.server.flavour, version: table.server.version, text: table.server.text }, collation: table.collation,
    columns, ...keysOf(table, definition.indexes), foreignKeys: table.foreignKeys.map(foreignKey), referencedBy: table.referencedBy.map(foreignKey),
  };
  return { ...said, hash: createHash('sha256').update(JSON.stringify(said)).digest('hex').slice(0, 32) };
}

function columnOf(mapped: MappedColumn, local: ColumnDefinition, table: MysqlTable): MigratedColumn {
  const { column } = mapped;
  const { type, generated } = column;
  const policies = policiesOf(mapped);
  const usual = mapColumn(column, table.server).local;
  const isUsual = usual === 'enum' ? mapped.local === 'enum' : mapped.local !== 'enum' && usual.spelled === mapped.local.spelled;
  return {
    name: column.name, position: column.position, type: local.type, isLocalEnum: mapped.local === 'enum',
    ...(local.collation === null ? {} : { localCollation: { schema: local.collation.schema, name: local.collation.name, deterministic: local.collation.deterministic } }),
    mysqlType: type.name, typeText: column.typeText, ...(type.length === undefined ? {} : { length: type.length }), ...(type.scale === undefined ? {} : { scale: type.scale }),
    unsigned: type.unsigned, zerofill: type.zerofill, ...(type.labels.length === 0 ? {} : { labels: type.labels }), charset: column.charset, collation: column.collation, padsBlanks: column.padsBlanks,
    nullable: !column.notNull, mayBecomeNull: mapped.mayBecomeNull, ...(column.default === null ? {} : { default: column.default }), hasLocalDefault: local.default !== null && generated === null,
    autoIncrement: column.autoIncrement, onUpdateNow: column.onUpdateNow, ...(generated === null ? {} : { generated: generated.kind }), isJsonText: column.isJsonText, isInvisible: column.isInvisible,
    exact: isUsual && Object.keys(policies).length === 0, ...(isUsual && Object.keys(policies).join() === 'zero_date' && policies['zero_date'] === 'clamp' ? { hasZeroDate: true as const } : {}), policies,
  };
}

function policiesOf({ plan, policies }: MappedColumn): Record<string, string> {
  const changing = (Object.keys(lossKinds) as LossKind[]).filter((kind) => plan.toLocalLosses.includes(kind) || plan.toSourceLosses.includes(kind)).map((kind) => [kind, policyFor(policies, kind)] as const);
  return Object.fromEntries(changing.filter(([, policy]) => policy !== 'reject'));
}

function keysOf(table: MysqlTable, indexes: ConvertedTable['definition']['indexes']): Pick<MigratedTable, 'primaryKey' | 'uniqueKeys' | 'otherKeys'> {
  const keys = table.indexes.filter((index) => index.unique).flatMap((index): (MigratedKey & { readonly primary: boolean })[] => {
    const localName = truncateName(index.primary ? `${table.name}_pkey` : `${table.name}_${index.name}`);
    if (!indexes.some(({ name }) => name === localName)) return [];
    return [{ mysqlName: index.name, localName, columns: index.parts.map(({ column, prefix }) => (prefix === null ? column : null)), primary: index.primary }];
  });
  const uniqueKeys = keys.sort((a, b) => Number(b.primary) - Number(a.primary)).map(({ mysqlName, localName, columns }) => ({ mysqlName, localName, columns }));
  const otherKeys = table.indexes.filter((index) => !index.unique).map(({ parts }) => parts.map(({ column }) => column));
  return { otherKeys, primaryKey: keys.find(({ primary }) => primary)?.columns.filter((name) => name !== null) ?? [], uniqueKeys };
}

function foreignKey({ name, child, columns, parent, parentColumns, onUpdate, onDelete }: MysqlForeignKey): MigratedForeignKey {
  return {
    mysqlName: name, localName: truncateName(name), child: { database: child.schema, name: child.name }, columns, parent: { database: parent.schema, name: parent.name }, parentColumns, onUpdate, onDelete,
  };
}
