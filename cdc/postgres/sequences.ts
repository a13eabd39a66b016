/** Sequence positions, carried from the side that was the authority to the side that becomes it. */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { quoteTable } from './quote.ts';
import { readSequences } from './read-columns.ts';
import { readJson, withQualifiedNames } from './read-json.ts';
import type { SequenceDefinition } from './definition.ts';

/** A table's name on the side that is read and on the side that is set. */
export interface SequenceTable {
  readonly from: QualifiedName;
  readonly to: QualifiedName;
}

export interface AdvancedSequence {
  readonly from: QualifiedName;
  readonly to: QualifiedName;
  readonly column: string;
  /** int8 as text: what the source had given out, and where the target stands now. */
  readonly fromValue: string;
  readonly toValue: string;
  /** True when the margin did not fit below the sequence's end. */
  readonly exhausted: boolean;
}

/** Sequences that the table's columns own or draw from, with their positions. */
export async function readTableSequences(client: ClientBase, table: QualifiedName): Promise<SequenceDefinition[]> {
  return withQualifiedNames(client, async () => {
    const oid = await readJson<{ oid: number | null }>(client, 'SELECT to_regclass($1)::oid::int8 AS oid', [quoteTable(table)]);
    return oid[0]?.oid == null ? [] : readSequences(client, oid[0].oid);
  });
}

/**
 * Sets each target sequence `margin` steps past its source; one that is already further stays (never backwards). Values that sessions
 * of the source have cached count as given out: `last_value` already contains them. Not undone by a rollback (setval is not transactional).
 * Columns without a sequence on the target are left out of the result.
 */
export async function advanceSequences(from: ClientBase, to: ClientBase, tables: readonly SequenceTable[], margin: number): Promise<AdvancedSequence[]> {
  const advanced: AdvancedSequence[] = [];
  for (const table of tables) {
    const sources = await readTableSequences(from, table.from);
    const targets = sources.length === 0 ? [] : await readTableSequences(to, table.to);
    for (const source of sources) {
      const target = targets.find((each) => each.column === source.column);
      if (target === undefined) continue;
      const wanted = wantedPosition(source, target, BigInt(margin));
      if (wanted !== undefined) await setAtLeast(to, target, wanted.value);
      const now = await readJson<{ value: string }>(to, `SELECT last_value::text AS value FROM ${quoteTable(target)}`);
      advanced.push({ from: { schema: source.schema, name: source.name }, to: { schema: target.schema, name: target.name }, column: source.column, fromValue: source.lastValue, toValue: now[0]?.value ?? '', exhausted: wanted?.exhausted ?? false });
    }
  }
  return advanced;
}

/** Pure. Undefined: nothing was ever drawn on the source, so the target may stay where it is. */
export function wantedPosition(source: SequenceDefinition, target: SequenceDefinition, margin: bigint): { value: bigint; exhausted: boolean } | undefined {
  if (!source.isCalled && source.lastValue === source.start) return undefined;
  const step = BigInt(source.increment);
  // Not yet called: `last_value` is the next to be given out.
  const given = source.isCalled ? BigInt(source.lastValue) : BigInt(source.lastValue) - step;
  const wanted = given + step * margin;
  const end = step > 0n ? BigInt(target.max) : BigInt(target.min);
  const start = step > 0n ? BigInt(target.min) : BigInt(target.max);
  const isPast = step > 0n ? wanted > end : wanted < end;
  const isBefore = step > 0n ? wanted < start : wanted > start;
  if (isBefore) return undefined;
  return isPast ? { value: end, exhausted: true } : { value: wanted, exhausted: false };
}

async function setAtLeast(client: ClientBase, target: SequenceDefinition, value: bigint): Promise<void> {
  const furthest = BigInt(target.increment) > 0n ? 'greatest' : 'least';
  await client.query(`SELECT setval($1::regclass, ${furthest}(last_value, $2::int8), is_called OR last_value IS DISTINCT FROM ${furthest}(last_value, $2::int8) OR last_value = $2::int8) FROM ${quoteTable(target)}`, [quoteTable(target), value.toString()]);
}
