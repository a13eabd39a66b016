/** Which type each bind marker of a statement has, and the name under which PREPARED tells of it. */
import type { CqlType } from '../../../grammar/cql/type.ts';
import type { Modification, Relation, Statement, Term } from './ast.ts';
import { invalid } from './cql-error.ts';
import { needColumn } from './modify.ts';
import type { Table } from './store.ts';
import { native } from './values.ts';
import type { UserTypes } from './values.ts';

export interface BindSpec { readonly name: string; readonly type: CqlType; readonly table: Table }

export function bindSpecs(statement: Statement, count: number, tableOf: (statement: { readonly table: { readonly keyspace: string | undefined; readonly name: string } }) => Table, userTypes: UserTypes): BindSpec[] {
  const found: BindSpec[] = [];
  const walk = (each: Statement): void => {
    if (each.is === 'batch') {
      const [first] = each.children;
      if (first) visit(each.timestamp, native('bigint'), '[timestamp]', tableOf(first));
      each.children.forEach(walk);
    } else if (each.is === 'insert' || each.is === 'update' || each.is === 'delete') modification(each, tableOf(each));
    else if (each.is === 'select') {
      const table = tableOf(each);
      for (const relation of each.where) ofRelation(relation, table);
      visit(each.limit, native('int'), '[limit]', table);
      visit(each.perPartition, native('int'), '[per_partition_limit]', table);
    }
  };
  const modification = (each: Modification, table: Table): void => {
    visit(each.timestamp, native('bigint'), '[timestamp]', table);
    visit(each.ttl, native('int'), '[ttl]', table);
    each.columns.forEach((name, index) => visit(each.terms[index], needColumn(table, name).type, name, table));
    for (const { column, operation, key, field, term } of each.assignments) {
      const { type } = needColumn(table, column);
      visit(key, type.kind === 'map' ? type.key : type.kind === 'set' ? type.of : native('int'), type.kind === 'map' ? `key(${column})` : `idx(${column})`, table);
      const element = type.kind === 'map' ? type.value : type.kind === 'list' ? type.of : type;
      const ofField = type.kind === 'udt' && field !== undefined ? userTypes(type.name).find(({ name }) => name === field)?.type : undefined;
      const whole = type.kind === 'native' && type.name === 'counter' ? native('bigint') : operation === 'subtract' && type.kind === 'map' ? { kind: 'set' as const, of: type.key, isFrozen: false } : type;
      visit(term, operation === 'element' ? element : ofField ?? whole, operation === 'element' ? `value(${column})` : column, table);
    }
    for (const relation of [...each.where, ...each.ifs]) ofRelation(relation, table);
  };
  const ofRelation = ({ columns, isToken, element, operator, terms, isWholeList }: Relation, table: Table): void => {
    const types = columns.map((name) => needColumn(table, name).type);
    const [type = native('blob')] = types;
    const label = columns.length === 1 ? columns.join() : `(${columns.join(',')})`;
    visit(element, type.kind === 'map' ? type.key : native('int'), `key(${label})`, table);
    for (const term of terms) {
      if (isToken) {
        if (term.is === 'call') term.args.forEach((arg, index) => visit(arg, types[index] ?? type, columns[index] ?? label, table));
        else visit(term, native('bigint'), 'partition key token', table);
      } else if (columns.length > 1) {
        if (term.is === 'tuple') term.items.forEach((item, index) => visit(item, types[index] ?? type, columns[index] ?? label, table));
        else visit(term, isWholeList ? { kind: 'list', of: { kind: 'tuple', items: types }, isFrozen: false } : { kind: 'tuple', items: types }, label, table);
      } else if (isWholeList) visit(term, { kind: 'list', of: type, isFrozen: false }, `in(${label})`, table);
      else if (operator === 'contains key') visit(term, type.kind === 'map' ? type.key : type, `key(${label})`, table);
      else if (operator === 'contains') visit(term, type.kind === 'map' ? type.value : type.kind === 'list' || type.kind === 'set' ? type.of : type, `value(${label})`, table);
      else if (element) visit(term, type.kind === 'map' ? type.value : type.kind === 'list' ? type.of : type, `value(${label})`, table);
      else visit(term, type, label, table);
    }
  };
  const visit = (term: Term | undefined, type: CqlType, label: string, table: Table): void => {
    if (!term) return;
    switch (term.is) {
      case 'bind': found[term.index] = { name: term.name === '' ? label : term.name, type, table }; return;
      case 'list': for (const item of term.items) visit(item, type.kind === 'list' || type.kind === 'vector' ? type.of : type, `value(${label})`, table); return;
      case 'tuple': term.items.forEach((item, index) => visit(item, type.kind === 'tuple' ? type.items[index] ?? type : type, label, table)); return;
      case 'braces':
        for (const { name, key, value } of term.entries) {
          if (type.kind === 'map') visit(key, type.key, `key(${label})`, table);
          else if (type.kind === 'set') visit(key, type.of, `value(${label})`, table);
          visit(value, type.kind === 'map' ? type.value : type.kind === 'udt' ? userTypes(type.name).find((field) => field.name === name)?.type ?? type : type, name ?? `value(${label})`, table);
        }
        return;
      case 'call': for (const arg of term.args) visit(arg, term.name === 'totimestamp' ? native('timeuuid') : type, `arg0(system.${term.name})`, table); return;
      case 'constant': case 'column': return;
    }
  };
  walk(statement);
  for (let index = 0; index < count; index += 1) if (!found[index]) throw invalid('the mock cluster knows no type of a bind marker here');
  return found;
}

/** The markers that make the partition key, in its order, for protocol 4; none when a part of it is not a marker. */
export function partitionKeyMarkers(statement: Statement, table: Table): number[] {
  if (statement.is !== 'insert' && statement.is !== 'update' && statement.is !== 'delete' && statement.is !== 'select') return [];
  const markers = table.partitionKey.map(({ name }) => {
    const term = statement.is === 'insert' ? statement.terms[statement.columns.indexOf(name)] : statement.where.find(({ columns, operator, isToken }) => !isToken && operator === '=' && columns.length === 1 && columns[0] === name)?.terms[0];
    return term?.is === 'bind' ? term.index : undefined;
  });
  return markers.some((marker) => marker === undefined) ? [] : markers.flatMap((marker) => (marker === undefined ? [] : [marker]));
}
