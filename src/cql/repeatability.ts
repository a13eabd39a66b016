/**
 * Whether a write may be sent a second time with the same timestamp and leave what one time leaves.
 *
 * Plain cells, sets and maps may. Counters count twice. A list's elements get new ids each time: appended, prepended and even overwritten ones then stand there twice. Places in a
 * list are looked up at the time. A condition may hold the second time or not. What cannot be told counts as not repeatable; the schema, where it is given, tells what the text and its markers do not.
 */
import type { CqlColumnWrite, CqlStatement, CqlTerm } from '../../grammar/cql/statement.ts';
import type { BindColumn } from '../wire/cql/result-body.ts';
import { typeIds } from '../wire/cql/result-body.ts';
import type { TableColumns } from './table-shapes.ts';

export type Repeatability = 'repeatable' | 'condition' | 'not-repeatable';

type Shape = 'list' | 'set' | 'map' | 'counter' | 'plain' | 'unknown';

const COUNTER = 0x05;

function shapeOfType(type: Buffer | undefined): Shape {
  switch (type?.readUInt16BE(0)) {
    case undefined: return 'unknown';
    case typeIds.list: return 'list';
    case typeIds.set: return 'set';
    case typeIds.map: return 'map';
    case COUNTER: return 'counter';
    default: return 'plain';
  }
}

function shapeOf(term: CqlTerm | undefined, columns: readonly BindColumn[]): Shape {
  switch (term?.kind) {
    case 'bind': return shapeOfType(columns[term.index]?.type);
    case 'constant': return 'plain';
    case 'compound': return term.form === 'list' ? 'list' : term.form === 'braces' ? 'set' : term.form === 'tuple' ? 'plain' : 'unknown';
    default: return 'unknown';
  }
}

function isRepeatableWrite({ column, operation, term }: CqlColumnWrite, columns: readonly BindColumn[], schema?: TableColumns): boolean {
  const known = schema?.get(column);
  if (known !== undefined) return known === 'plain' || (known === 'list' && operation === 'delete');
  switch (operation) {
    case 'set': {
      const shape = shapeOf(term, columns);
      // A function's result, a cast: its type is a plain one in all but the rarest texts, and those are not told apart.
      return shape === 'plain' || shape === 'set' || shape === 'map' || (shape === 'unknown' && term?.kind === 'compound' && (term.form === 'call' || term.form === 'cast') && !hasList(term));
    }
    case 'append': case 'remove': {
      const shape = shapeOf(term, columns);
      return shape === 'set' || shape === 'map';
    }
    // The server calls the marker of a map's key so, that of a list's place `idx(…)`.
    case 'element': case 'delete-element': return columns.some(({ name }) => name === `key(${column})`);
    case 'prepend': return false;
    case 'field': case 'delete': case 'delete-field': return true;
    default: return operation satisfies never;
  }
}

function hasList(term: CqlTerm): boolean {
  return term.kind === 'compound' && (term.form === 'list' || term.items.some(hasList));
}

/**
 * Whether it leaves something else when it is done before another write of the same row instead of after it, timestamps notwithstanding: it has a condition, or touches a list.
 * A bound value of an unknown type counts as none where it is written whole.
 */
export function isOrdered(facts: CqlStatement, columns: readonly BindColumn[]): boolean {
  if (facts.isConditional) return true;
  if (facts.batch) return facts.batch.type !== 'counter' && facts.batch.children.some((child) => isOrdered(child, columns));
  return facts.writes.some((write) => {
    const shape = shapeOf(write.term, columns);
    if (write.operation === 'set') return shape === 'list';
    // A number that is added is a counter's.
    if (write.operation === 'append' || write.operation === 'remove') return shape === 'list' || shape === 'unknown';
    return write.operation === 'prepend' || ((write.operation === 'element' || write.operation === 'delete-element') && !isRepeatableWrite(write, columns));
  });
}

/** The columns of the table that a statement writes; undefined when nobody has asked for them. */
export type SchemaOf = (facts: CqlStatement) => TableColumns | undefined;

/** `columns`: of its bind markers, in order; without them what is bound counts as unknown. `areCallsSettled`: what `now()` and the like give is bound as well. */
export function repeatabilityOf(facts: CqlStatement, columns: readonly BindColumn[], areCallsSettled = false, schemaOf?: SchemaOf): Repeatability {
  if (facts.isConditional) return 'condition';
  if (facts.unstableCalls.length > 0 && !areCallsSettled) return 'not-repeatable';
  if (facts.kind === 'batch') {
    if (!facts.batch || facts.batch.type === 'counter') return 'not-repeatable';
    return facts.batch.children.every((child) => repeatabilityOf(child, columns, areCallsSettled, schemaOf) === 'repeatable') ? 'repeatable' : 'not-repeatable';
  }
  if (facts.kind !== 'insert' && facts.kind !== 'update' && facts.kind !== 'delete') return 'not-repeatable';
  const schema = schemaOf?.(facts);
  // Which columns a document writes only its value tells: none may be a list.
  if (facts.json) return schema && schema.size > 0 && [...schema.values()].every((shape) => shape === 'plain') ? 'repeatable' : 'not-repeatable';
  return facts.writes.every((write) => isRepeatableWrite(write, columns, schema)) ? 'repeatable' : 'not-repeatable';
}
