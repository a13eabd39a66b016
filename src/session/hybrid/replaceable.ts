import type { QueryUses } from '../../../grammar/sql/relation-uses.ts';

/** A sub-select can stand in the place of the name that starts here: not behind ONLY or TABLE, nor before `*`, nor for what has a type of its own. */
export function isReplaceable({ places, uses }: QueryUses, text: Buffer, start: number): boolean {
  const place = places.find((candidate) => candidate.kind === 'relation' && candidate.start === start);
  if (!place || uses.some((use) => use.start === start && (use.only || use.keepsRowType))) return false;
  return place.isAliased ? !/^\s*\*/.test(text.toString('latin1', place.end, place.end + 40)) : place.aliasAt === place.end;
}
