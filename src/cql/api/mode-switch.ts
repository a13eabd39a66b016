/**
 * May the modes change so, and if not, why.
 *
 * A cluster may only become the one that is read when it has every write: nothing is owed to it, nothing of it waits for a repair, and no damage of the log is open. The source may
 * not be left while it is owed writes: it is the way back. `force` goes past these reasons, and is written down with them.
 */
import { plans, SOURCE_CLUSTER, TARGET_CLUSTER } from '../modes.ts';
import type { ClusterIndex, CqlMode, ModeTable } from '../modes.ts';
import { clusterNames } from '../modes.ts';

export interface Validation {
  readonly isGood: boolean;
  readonly summary: string;
}

/** What is open when a switch is asked for. */
export interface SwitchFacts {
  /** Writes in the log that have not ended. */
  readonly queued: number;
  readonly repairEntries: number;
  readonly wholeTables: readonly string[];
  readonly isRepairListWhole: boolean;
  readonly damages: number;
  /** The last one of everything, and the last one of each table that is moved; none where there was none. */
  readonly validations: readonly Validation[];
  readonly isReachable: readonly [source: boolean, target: boolean];
  /** Tables that a scan repairs by the source. */
  readonly heldTables: readonly string[];
}

/** Reasons against the switch; empty when it may be. */
export function reasonsAgainst(from: ModeTable, to: ModeTable, facts: SwitchFacts): readonly string[] {
  const reasons: string[] = [];
  const moved = [...new Set([...changes(from, to)].flatMap(({ before, after }) => (plans[before].primary === plans[after].primary ? [] : [plans[after].primary])))];
  const left = [...new Set([...changes(from, to)].flatMap(({ before, after }) => clustersOf(before).filter((cluster) => !clustersOf(after).includes(cluster))))];
  for (const cluster of new Set([...moved, ...used(to)])) if (!facts.isReachable[cluster] && !used(from).includes(cluster)) reasons.push(`the ${clusterNames[cluster]} cluster cannot be reached`);
  if (moved.length > 0) {
    for (const cluster of moved) if (!facts.isReachable[cluster]) reasons.push(`the ${clusterNames[cluster]} cluster, which would be read, cannot be reached`);
    if (facts.repairEntries > 0) reasons.push(`${facts.repairEntries} writes wait for a repair${facts.wholeTables.length > 0 ? `, ${facts.wholeTables.join(', ')} whole` : ''}`);
    if (!facts.isRepairListWhole) reasons.push('the repair list is damaged: every table has to be validated');
    if (facts.damages > 0) reasons.push(`${facts.damages} places of the intent log are damaged: their writes may be on one cluster only`);
    for (const { isGood, summary } of facts.validations) if (!isGood) reasons.push(`the last validation has failed: ${summary}`);
  }
  if (moved.includes(TARGET_CLUSTER) && facts.heldTables.length > 0) reasons.push(`a scan repairs ${facts.heldTables.join(', ')} by the source: what would be written on the target it would undo`);
  for (const { before, after } of changes(from, to)) {
    const { primary } = plans[after];
    if (!clustersOf(before).includes(primary)) reasons.push(`in mode ${before} the ${clusterNames[primary]} cluster is not written, and in ${after} it would be read`);
  }
  // Back to the source alone is always possible while the source has been the primary: it has every write, and the target goes on to be sent what it is owed.
  if (facts.queued > 0 && (moved.length > 0 || left.includes(SOURCE_CLUSTER))) reasons.push(`${facts.queued} writes are queued: a cluster does not have them yet`);
  return [...new Set(reasons)];
}

function* changes(from: ModeTable, to: ModeTable): Generator<{ readonly before: CqlMode; readonly after: CqlMode }> {
  if (from.global !== to.global) yield { before: from.global, after: to.global };
  for (const keyspace of new Set([...from.keyspaces.keys(), ...to.keyspaces.keys()])) {
    yield* changed(from.keyspaces.get(keyspace) ?? from.global, to.keyspaces.get(keyspace) ?? to.global);
  }
  for (const table of new Set([...from.tables.keys(), ...to.tables.keys()])) {
    const keyspace = table.split('.')[0] ?? '';
    yield* changed(from.tables.get(table) ?? from.keyspaces.get(keyspace) ?? from.global, to.tables.get(table) ?? to.keyspaces.get(keyspace) ?? to.global);
  }
}

function* changed(before: CqlMode, after: CqlMode): Generator<{ readonly before: CqlMode; readonly after: CqlMode }> {
  if (before !== after) yield { before, after };
}

function clustersOf(mode: CqlMode): readonly ClusterIndex[] {
  const { primary, shadow } = plans[mode];
  return shadow === undefined ? [primary] : [primary, shadow];
}

function used(modes: ModeTable): readonly ClusterIndex[] {
  return [modes.global, ...modes.keyspaces.values(), ...modes.tables.values()].flatMap(clustersOf);
}
