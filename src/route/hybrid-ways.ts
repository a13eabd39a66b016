/** The sides on which a statement over tables of both sides can run, when rows of what a side lacks are brought there (specification §3.5, DESIGN §4). */
import { hasPlaces, isTableFromQuery } from '../../grammar/sql/name-places.ts';
import type { StatementFacts, StatementKind } from '../../grammar/sql/statement-facts.ts';
import { isReached, needsOf, readNeeds } from './needs.ts';
import type { NeedsContext } from './needs.ts';

export interface PossibleWay {
  readonly runOn: 'source' | 'local';
  readonly moved: ReadonlySet<string>;
  /** Those of them whose rows come from the MySQL server. */
  readonly fromMysql: ReadonlySet<string>;
}

interface Moved extends Omit<PossibleWay, 'runOn'> {
  /** Some of the rows are of a table that the MySQL server has, or had. */
  readonly movesBeyond: boolean;
}

const hybridKinds: ReadonlySet<StatementKind> = new Set<StatementKind>(['select', 'insert', 'update', 'delete', 'merge', 'copy_to', 'explain', 'prepare', 'declare_cursor', 'create_temp']);

/**
 * Only rows that are read can be brought. What is written or locked, whose sequences are drawn from, and what functions reach must be where
 * the statement runs; so must what looks at the catalog of its side. Nothing is brought into a SERIALIZABLE transaction, which
 * would have to see one moment of both sides. `atMysql`: tables that the MySQL server has are brought from there even when local could show them.
 */
export function hybridWays(facts: StatementFacts, context: NeedsContext, atMysql = false): readonly PossibleWay[] {
  if (!canBring(facts, context)) return [];
  const own = needsOf([{ ...facts, reads: [] }], context);
  const ways = (['local', 'source'] as const).flatMap((runOn): (PossibleWay & Moved)[] => {
    if (!own.needs.every((need) => need[runOn]) || (own.opaque && runOn === 'local')) return [];
    const moved = movedTo(runOn, facts, context, atMysql);
    return moved === undefined || moved.moved.size === 0 ? [] : [{ runOn, ...moved }];
  });
  // Types and collations of a table of the MySQL server are on local, and only there.
  return ways.some(({ runOn, movesBeyond }) => runOn === 'source' && movesBeyond) || ways.some(({ fromMysql }) => fromMysql.size > 0) ? ways.slice(0, 1) : ways.toReversed();
}

/** Views that are read and that neither side can answer, because of where their tables are: their definitions can be put in their place. What a view has stored stays where it is. */
export function mixedViews(facts: StatementFacts, context: NeedsContext): ReadonlySet<string> {
  const views = new Set<string>();
  if (!canBring(facts, context)) return views;
  for (const relation of facts.reads) {
    const found = context.index.resolve(relation, context.session);
    if (found.type !== 'view' || context.index.isStored(found.key)) continue;
    const needs = readNeeds(facts, relation, context);
    if (!needs.every((need) => need.source) && !needs.every((need) => need.local)) views.add(found.key);
  }
  return views;
}

function canBring(facts: StatementFacts, { session }: NeedsContext): boolean {
  return (hybridKinds.has(facts.kind) || isTableFromQuery(facts)) && hasPlaces(facts) && session.transaction?.isolation !== 'serializable';
}

/** Undefined when something that is read can be had on no side as it is. */
function movedTo(runOn: 'source' | 'local', facts: StatementFacts, context: NeedsContext, atMysql: boolean): Moved | undefined {
  const other = runOn === 'source' ? 'local' : 'source';
  const locked = new Set(facts.writes.map(({ schema, name }) => JSON.stringify([schema, name])));
  const moved = new Set<string>();
  const fromMysql = new Set<string>();
  let movesBeyond = false;
  for (const relation of facts.reads) {
    const needs = readNeeds(facts, relation, context);
    const placed = context.index.placed(relation, context.session);
    if (placed === undefined) {
      if (runOn === 'local') return undefined;
      continue;
    }
    const isBeyond = needs.length > 0 && needs.every((need) => need.mysql === true);
    if (needs.every((need) => need[runOn]) && !(atMysql && isBeyond)) continue;
    if ((!isBeyond && !needs.every((need) => need[other])) || (facts.flags.lockingRead && locked.has(JSON.stringify([relation.schema, relation.name])))) return undefined;
    moved.add(placed.key);
    movesBeyond ||= needs.some(({ table }) => table !== undefined && !isReached(table));
    if (isBeyond && (atMysql || !needs.every((need) => need[other]))) fromMysql.add(placed.key);
  }
  return { moved, fromMysql, movesBeyond };
}
