/** Functions: those of the tables here, of moments, and aggregates. */
import { isNamedZone } from '../named-zone.ts';
import { aggregateCall, isAggregate, isWindowFunction } from './aggregate.ts';
import type { Emission, Scope, Value } from './emission.ts';
import { mathFunctions } from './math-functions.ts';
import { atTimeZone, currentMoment, extractPart, formatMoment, requireUtc, truncateMoment } from './moment.ts';
import { date, timestamp, timestamptz } from './pg-type.ts';
import { textFunctions } from './text-functions.ts';
import { refuse } from './refusal.ts';
import { listOf, nameParts } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

export function functionCall(emission: Emission, node: Tree, scope: Scope): Value {
  const place = node['location'];
  const names = nameParts(node['funcname']) ?? [];
  if (names.length > 1 && names[0] !== 'pg_catalog') return refuse(`function ${names.join('.')}`, place);
  const name = names.at(-1) ?? '';
  if (node['func_variadic'] === true) return refuse('VARIADIC', place);
  if (isAggregate(name) || (isWindowFunction(name) && node['over'] !== undefined)) return aggregateCall(emission, name, node, scope);
  if (node['over'] !== undefined || node['agg_filter'] !== undefined || node['agg_distinct'] === true || node['agg_order'] !== undefined || node['agg_within_group'] === true) return refuse(`function ${name} as an aggregate`, place);
  const values = listOf(node['args']).map((argument) => emission.expression(argument, scope));
  const listed = Object.hasOwn(textFunctions, name) ? textFunctions[name] : Object.hasOwn(mathFunctions, name) ? mathFunctions[name] : undefined;
  if (listed !== undefined) return listed(emission, values, place);
  return momentFunction(emission, name, values, place) ?? refuse(`function ${name}`, place);
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
