/** Functions: those of the tables here, of moments, and aggregates. */
import { isNamedZone } from '../named-zone.ts';
import { sqlTable } from './column-value.ts';
import { aggregateCall, isAggregate, isWindowFunction } from './aggregate.ts';
import type { Emission, Scope, Value } from './emission.ts';
import { mathFunctions } from './math-functions.ts';
import { atTimeZone, currentMoment, extractPart, formatMoment, requireUtc, truncateMoment } from './moment.ts';
import { date, int8, timestamp, timestamptz } from './pg-type.ts';
import { textFunctions } from './text-functions.ts';
import { refuse } from './refusal.ts';
import { sequenceOf } from '../../sql/function-call.ts';
import { listOf, nameParts, nodeOf, stringConstant, withoutCasts } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

export function functionCall(emission: Emission, node: Tree, scope: Scope): Value {
  const place = node['location'];
  const names = nameParts(node['funcname']) ?? [];
  if (names.length > 1 && names[0] !== 'pg_catalog') return refuse(`function ${names.join('.')}`, place);
  const name = names.at(-1) ?? '';
  if (node['func_variadic'] === true) return refuse('VARIADIC', place);
  if (isAggregate(name) || (isWindowFunction(name) && node['over'] !== undefined)) return aggregateCall(emission, name, node, scope);
  if (node['over'] !== undefined || node['agg_filter'] !== undefined || node['agg_distinct'] === true || node['agg_order'] !== undefined || node['agg_within_group'] === true) return refuse(`function ${name} as an aggregate`, place);
  if (name === 'lastval' || name === 'currval') return lastNumber(emission, name, listOf(node['args']), place);
  const values = listOf(node['args']).map((argument) => emission.expression(argument, scope));
  const listed = Object.hasOwn(textFunctions, name) ? textFunctions[name] : Object.hasOwn(mathFunctions, name) ? mathFunctions[name] : undefined;
  if (listed !== undefined) return listed(emission, values, place);
  return momentFunction(emission, name, values, place) ?? refuse(`function ${name}`, place);
}

/** What the server gave the session's own INSERTs, in place of what a sequence on local would have given. */
function lastNumber(emission: Emission, name: string, args: readonly unknown[], place: unknown): Value {
  const value = (table: string | undefined): Value => ({ sql: emission.slot({ kind: 'last_number', table }), type: int8, nullable: false, constant: true });
  if (name === 'lastval') return args.length === 0 ? value(undefined) : refuse('function lastval', place);
  const relation = args.length === 1 ? sequenceOf(args[0]) : undefined;
  const column = sequenceColumn(args[0]);
  const { tables, searchPath } = emission.facts;
  const isNamed = (schema: string, one: string): boolean => one === relation?.name && (relation.schema === undefined ? searchPath.includes(schema) : relation.schema === schema);
  const found = tables.filter((table) => table.columns.some(({ autoIncrement, sequence, name: own }) => autoIncrement === true
    && (column === undefined ? sequence !== undefined && isNamed(sequence.schema, sequence.name) : own === column && isNamed(table.schema, table.name))));
  const [table] = found;
  return table === undefined || found.some((other) => sqlTable(other) !== sqlTable(table)) ? refuse('currval of this sequence', place) : value(sqlTable(table));
}

/** Of `pg_get_serial_sequence('table', 'column')`. */
function sequenceColumn(argument: unknown): string | undefined {
  const call = nodeOf(withoutCasts(argument), 'FuncCall');
  return call === undefined ? undefined : stringConstant(listOf(call['args'])[1]) ?? '';
}

function momentFunction(emission: Emission, name: string, values: readonly Value[], place: unknown): Value | undefined {
  const [first, second] = values;
  if (first === undefined) {
    switch (name) {
      case 'now': case 'transaction_timestamp': return currentMoment(emission, timestamptz, 'transaction');
      case 'statement_timestamp': return currentMoment(emission, timestamptz, 'statement');
      default: return undefined;
    }
  }
  if (second === undefined || values.length > 2) return undefined;
  switch (name) {
    case 'date_trunc': return truncateMoment(emission, first, second, place);
    case 'extract': case 'date_part': return extractPart(emission, name, first, second, place);
    case 'to_char': return formatMoment(emission, first, second, place);
    case 'timezone': return atTimeZone(emission, first, second, place);
    default: return undefined;
  }
}

/** CURRENT_DATE and its like. */
export function valueFunction(emission: Emission, node: Tree): Value {
  switch (node['op']) {
    case 'SVFOP_CURRENT_DATE':
      if (emission.facts.timeZone !== 'UTC' && !isNamedZone(emission.facts.timeZone)) requireUtc(emission, 'CURRENT_DATE', node['location']);
      return currentMoment(emission, date, 'transaction');
    case 'SVFOP_CURRENT_TIMESTAMP': return currentMoment(emission, timestamptz, 'transaction');
    case 'SVFOP_LOCALTIMESTAMP':
      requireUtc(emission, 'LOCALTIMESTAMP', node['location']);
      return currentMoment(emission, timestamp, 'transaction');
    default: return refuse(String(node['op']).replace('SVFOP_', ''), node['location']);
  }
}
