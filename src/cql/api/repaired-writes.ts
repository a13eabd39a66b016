/**
 * Which writes of the repair list are repaired: all their tables were found equal, or were made so, by a comparison that read them whole and began when the write could no longer come.
 */
import type { RepairEntry } from '../intents/repair-list.ts';

/** A write whose answer is missing may still be done by a node: longer than any of the servers' own time limits for it. */
const LATE_MS = 10_000;

export interface RepairFacts {
  /** Begin of the last whole comparison of this table that was good; undefined when there was none. */
  readonly goodSince: (table: string) => number | undefined;
  /** When a write of this table was last noted without a line of its own. */
  readonly lastUnlisted: (table: string) => number;
  /** Of the process: what an earlier one has noted without a line of its own is not known. */
  readonly startedMs: number;
}

export function isRepaired({ tables, notedAtMs, reason, body }: RepairEntry, { goodSince, lastUnlisted, startedMs }: RepairFacts): boolean {
  // What no table is known of is for an operator.
  if (tables.length === 0 || notedAtMs === undefined) return false;
  const late = reason === 'refused' ? 0 : LATE_MS;
  return tables.every((table) => {
    const noted = body === '' ? Math.max(notedAtMs, startedMs, lastUnlisted(table)) + LATE_MS : notedAtMs + late;
    return (goodSince(table) ?? Number.NEGATIVE_INFINITY) > noted;
  });
}
