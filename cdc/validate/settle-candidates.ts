/**
 * Tells rows that differ from rows that are on their way (RULES 29).
 *
 * A candidate is compared in rounds: read the authority's row, let the stream settle (everything that the authority committed before is then
 * visible on the follower), read the follower's row. Equal → it was on its way. Different, and both sides' row versions are the ones that the
 * round before saw → it differs: the authority did not change since before a settle, and the follower shows all of it. The order matters: a
 * follower read before the settle may be behind. Anything else goes into the next round;
 * what is left after the last one is unsettled. Row versions (xmin, ctid), not values, are compared between rounds, so that a
 * row that flips between two values is not taken for a constant one.
 */
import type { RowVersion } from '../postgres/checksum.ts';

export interface Candidate {
  readonly key: readonly string[];
  readonly chunk: number;
}

/** The side that lacks the row; undefined when both have it, with different values. */
export type MissingOn = 'authority' | 'follower' | undefined;

export interface SettledCandidates {
  readonly different: readonly (Candidate & { readonly missingOn: MissingOn })[];
  readonly unsettled: readonly Candidate[];
  readonly equal: number;
}

/** Rows of one side by the position of their key in `keys`. */
export type LookUp = (keys: readonly (readonly string[])[]) => Promise<Map<number, RowVersion>>;

export interface SettleOptions {
  readonly lookUpAuthority: LookUp;
  readonly lookUpFollower: LookUp;
  readonly settle: () => Promise<void>;
  /** At least 2. */
  readonly rounds: number;
  /** Keys per query. */
  readonly batch: number;
  readonly signal?: AbortSignal;
}

interface Seen {
  readonly authority: RowVersion | undefined;
  readonly follower: RowVersion | undefined;
}

export async function settleCandidates(candidates: readonly Candidate[], options: SettleOptions): Promise<SettledCandidates> {
  const different: (Candidate & { missingOn: MissingOn })[] = [];
  let open = candidates.map((candidate) => ({ candidate, before: undefined as Seen | undefined }));
  let equal = 0;
  for (let round = 0; round < Math.max(2, options.rounds) && open.length > 0; round += 1) {
    options.signal?.throwIfAborted();
    const keys = open.map((each) => each.candidate.key);
    const authority = await lookUpAll(options.lookUpAuthority, keys, options.batch);
    await options.settle();
    const follower = await lookUpAll(options.lookUpFollower, keys, options.batch);
    const next: typeof open = [];
    for (const [at, { candidate, before }] of open.entries()) {
      const seen: Seen = { authority: authority.get(at), follower: follower.get(at) };
      const verdict = judge(seen, before);
      if (verdict === 'equal') equal += 1;
      else if (verdict === 'open') next.push({ candidate, before: seen });
      else different.push({ ...candidate, missingOn: seen.follower === undefined ? 'follower' : seen.authority === undefined ? 'authority' : undefined });
    }
    open = next;
  }
  return { different, unsettled: open.map((each) => each.candidate), equal };
}

/** Pure. */
export function judge(seen: Seen, before: Seen | undefined): 'equal' | 'open' | 'different' {
  if (seen.authority?.digest === seen.follower?.digest) return 'equal';
  const isConstant = before !== undefined && before.authority?.version === seen.authority?.version && before.follower?.version === seen.follower?.version;
  return isConstant ? 'different' : 'open';
}

async function lookUpAll(lookUp: LookUp, keys: readonly (readonly string[])[], batch: number): Promise<Map<number, RowVersion>> {
  const found = new Map<number, RowVersion>();
  for (let from = 0; from < keys.length; from += batch) {
    for (const [at, row] of await lookUp(keys.slice(from, from + batch))) found.set(from + at, row);
  }
  return found;
}
