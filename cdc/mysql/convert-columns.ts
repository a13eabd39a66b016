/** Columns of a MySQL table as columns of a PostgreSQL table. Pure. */
import type { ColumnDefinition, ConstraintDefinition, RequiredType, SequenceDefinition } from '../postgres/definition.ts';
import type { Finding } from '../postgres/finding.ts';
import { quoteIdent, quoteLiteral, quoteTable } from '../postgres/quote.ts';
import { maxNameBytes, truncateName } from '../../grammar/names.ts';
import { collationFor } from './collation.ts';
import type { LocalCollation } from './collation.ts';
import { integerRange } from './column-type.ts';
import type { MysqlCheck, MysqlTable } from './definition.ts';
import { localTypes } from './local-type.ts';
import { mysqlTableName } from './query.ts';
import { translateDefault } from './translate-default.ts';
import { translateExpression } from './translate-expression.ts';
import type { ExpressionScope, ValueKind } from './translate-expression.ts';
import { mapColumn, rangeCheck } from './type-map.ts';
import type { MapOverrides, MappedColumn } from './type-map.ts';
import { policyFor } from './type-loss.ts';

export interface ConvertedColumns {
  readonly mapped: readonly MappedColumn[];
  readonly columns: readonly ColumnDefinition[];
  readonly checks: readonly ConstraintDefinition[];
  readonly sequences: readonly SequenceDefinition[];
  readonly types: readonly RequiredType[];
  readonly collations: readonly LocalCollation[];
  readonly findings: readonly Finding[];
  readonly scope: ExpressionScope;
}

export interface ColumnOptions {
  readonly overrides: MapOverrides;
  /** Where types and sequences of the table's own are put. */
  readonly targetSchema: string;
  /** Default: all. */
  readonly columns?: readonly string[];
}

/** `MIG012` and `MIG071` are thrown: a column whose type is not known has no place in a plan. */
export function convertColumns(table: MysqlTable, options: ColumnOptions): ConvertedColumns {
  const chosen = table.columns.filter((column) => options.columns === undefined || options.columns.includes(column.name));
  const mapped = chosen.map((column) => mapColumn(column, table.server, options.overrides));
  const converter = new ColumnConverter(table, mapped, options);
  return converter.convert();
}

const kinds: Readonly<Record<string, ValueKind>> = {
  boolean: 'boolean', smallint: 'integer', integer: 'integer', bigint: 'integer', numeric: 'numeric', real: 'float', 'double precision': 'float', text: 'text', 'character varying': 'text',
  date: 'time', timestamp: 'time', timestamptz: 'time', enum: 'other', uuid: 'other', inet: 'other',
};

class ColumnConverter {
  readonly #table: MysqlTable;
  readonly #mapped: readonly MappedColumn[];
  readonly #options: ColumnOptions;
  readonly #findings: Finding[] = [];
  readonly #scope: ExpressionScope;

  constructor(table: MysqlTable, mapped: readonly MappedColumn[], options: ColumnOptions) {
    this.#table = table;
    this.#mapped = mapped;
    this.#options = options;
    const byName = new Map(mapped.map((each) => [each.column.name, kinds[each.local === 'enum' ? 'enum' : each.local.name] ?? 'other']));
    this.#scope = { kindOf: (name) => byName.get(name) };
  }

  convert(): ConvertedColumns {
    return {
      mapped: this.#mapped, columns: this.#mapped.map((each) => this.#column(each)), checks: this.#checks(), sequences: this.#mapped.flatMap((each) => this.#sequence(each)),
      types: this.#mapped.flatMap((each) => this.#enumType(each)), collations: this.#collations(), findings: this.#findings, scope: this.#scope,
    };
  }

  #find(code: string, severity: Finding['severity'], column: string, message: string, remedy: string): void {
    this.#findings.push({ code, severity, subject: `${mysqlTableName(this.#table)} ${column}`, message, remedy, ...(severity === 'error' ? { errorCode: 'MIG011' as const } : {}) });
  }

  #column(mapped: MappedColumn): ColumnDefinition {
    const { column, local } = mapped;
    const spelled = this.#spelled(mapped);
    const about = local === 'enum' ? { base: `${this.#options.targetSchema}.${this.#enumName(column.name)}`, oid: 0, length: 4, storage: 'plain' as const } : localTypes[local.name];
    if (Buffer.byteLength(column.name) > maxNameBytes) this.#find('name_length', 'error', column.name, `the name is longer than the ${maxNameBytes} bytes of local`, 'Rename the column on the source.');
    const isKey = this.#table.indexes.some((index) => index.primary && index.parts.some((part) => part.column === column.name));
    return {
      name: column.name, attnum: column.position, type: spelled, typeOid: about.oid, typmod: -1, typeKind: local === 'enum' ? 'e' : 'b', baseType: about.base, typeLength: about.length,
      notNull: isKey || (column.notNull && !mapped.mayBecomeNull), ...this.#value(mapped, spelled), defaultSequence: null, identity: this.#isIdentity(mapped) ? 'by default' : null,
      collation: this.#collation(mapped)?.definition ?? null, storage: about.storage, typeStorage: about.storage, compression: null, statistics: null, comment: column.comment === '' ? null : column.comment,
    };
  }

  #spelled({ column, local }: MappedColumn): string {
    return local === 'enum' ? quoteTable({ schema: this.#options.targetSchema, name: this.#enumName(column.name) }) : local.spelled;
  }

  #value(mapped: MappedColumn, spelled: string): Pick<ColumnDefinition, 'default' | 'generated'> {
    const { column } = mapped;
    if (column.generated !== null) {
      const translated = translateExpression(column.generated.expression, this.#scope);
      if (translated.ok) return { default: translated.sql, generated: column.generated.kind };
      this.#find('generated_column', 'error', column.name, `its expression is not known to mean the same on local: ${translated.refused} in ${column.generated.expression}`, 'Leave the column out with OPTIONS (columns …), and compute it in a view or by a trigger on local.');
      return { default: null, generated: column.generated.kind };
    }
    const translated = translateDefault(mapped, spelled, this.#scope);
    if (translated === undefined) return { default: null, generated: null };
    if (translated.ok) return { default: translated.sql, generated: null };
    this.#find('default', 'warning', column.name, `its default is not made on local: ${translated.refused}`, `ALTER TABLE … ALTER COLUMN ${quoteIdent(column.name)} SET DEFAULT …; on local before the cutover.`);
    return { default: null, generated: null };
  }

  #isIdentity({ column, local }: MappedColumn): boolean {
    if (!column.autoIncrement) return false;
    if (local !== 'enum' && ['smallint', 'integer', 'bigint'].includes(local.name)) return true;
    this.#find('auto_increment', 'error', column.name, `AUTO_INCREMENT needs an integer type on local, not ${local === 'enum' ? local : local.spelled}`, `OPTIONS (type_map '${column.name} bigint').`);
    return false;
  }

  #sequence(mapped: MappedColumn): SequenceDefinition[] {
    const { column, local } = mapped;
    if (!column.autoIncrement || local === 'enum') return [];
    const localMax = { smallint: 32767n, integer: 2147483647n }[local.name as string] ?? 9223372036854775807n;
    const sourceMax = integerRange(column.type)?.max ?? localMax;
    const max = sourceMax < localMax ? sourceMax : localMax;
    const wanted = BigInt(this.#table.nextNumber ?? '1');
    const next = `${wanted > max ? max : wanted < 1n ? 1n : wanted}`;
    return [{
      schema: this.#options.targetSchema, name: truncateName(`${this.#table.name}_${column.name}_seq`), ownedBy: column.name, column: column.name, identity: true, type: local.spelled,
      start: next, increment: '1', min: '1', max: `${max}`, cache: '1', cycle: false, lastValue: next, isCalled: false,
    }];
  }

  #enumName(column: string): string {
    return truncateName(`${this.#table.name}_${column}`);
  }

  #enumType({ column, local }: MappedColumn): RequiredType[] {
    return local === 'enum' ? [{ kind: 'enum', schema: this.#options.targetSchema, name: this.#enumName(column.name), labels: column.type.labels }] : [];
  }

  #collation({ column, local }: MappedColumn): LocalCollation | undefined {
    if (local === 'enum' || (local.name !== 'text' && local.name !== 'character varying') || column.type.name === 'set') return undefined;
    return collationFor(column.collation);
  }

  #collations(): LocalCollation[] {
    const found = new Map<string, LocalCollation>();
    for (const each of this.#mapped) {
      const collation = this.#collation(each);
      if (collation?.locale !== undefined) found.set(collation.definition.name, collation);
    }
    return [...found.values()];
  }

  #checks(): ConstraintDefinition[] {
    const own = this.#table.checks.flatMap((check) => this.#check(check));
    return [...own, ...this.#mapped.flatMap((each) => this.#typeCheck(each))];
  }

  #check(check: MysqlCheck): ConstraintDefinition[] {
    if (!check.enforced) return [];
    const subject = this.#mapped.find(({ column }) => column.isJsonText && check.expression.includes('json_valid(') && check.expression.includes(`\`${column.name}\``));
    // The type says it.
    if (subject !== undefined && subject.local !== 'enum' && subject.local.name.startsWith('json')) return [];
    const names = new Set<string>();
    const translated = translateExpression(check.expression, { kindOf: (name) => {
      names.add(name);
      return this.#scope.kindOf(name);
    } });
    if (translated.ok) return [constraint(check.name, [...names], translated.kind === 'integer' ? `(${translated.sql} <> 0)` : translated.sql)];
    this.#find('check', 'warning', check.name, `the check is not made on local: ${translated.refused} in ${check.expression}`, 'Until it is made there by hand, rows written on local after the cutover may be refused on the way back.');
    return [];
  }

  #typeCheck(mapped: MappedColumn): ConstraintDefinition[] {
    const { column, local } = mapped;
    if (column.generated !== null) return [];
    const name = quoteIdent(column.name);
    const make = (condition: string): ConstraintDefinition[] => [constraint(truncateName(`${this.#table.name}_${column.name}_range`), [column.name], condition)];
    const takesEmpty = column.type.name === 'enum' && policyFor(mapped.policies, 'enum_empty') === 'text';
    const labels = `ARRAY[${[...column.type.labels, ...(takesEmpty ? [''] : [])].map((label) => `${quoteLiteral(label)}::text`).join(', ')}]`;
    if (column.type.name === 'enum' && local !== 'enum') return make(`(${name} = ANY (${labels}))`);
    if (column.type.name === 'set' && local !== 'enum' && local.name === 'text[]') return make(`(${name} <@ ${labels})`);
    const range = rangeCheck(mapped, name);
    return range === undefined ? [] : make(range.condition);
  }
}

function constraint(name: string, columns: readonly string[], condition: string): ConstraintDefinition {
  return { name: truncateName(name), type: 'check', columns, definition: `CHECK (${condition})`, validated: true, deferrable: false, deferred: false, noInherit: false, comment: null };
}
