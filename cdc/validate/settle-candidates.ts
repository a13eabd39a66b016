/**
 * Tells rows that differ from rows that are on their way (RULES 29).
 *
 * A candidate is compared in rounds: read the source's row, let the stream settle (everything that the source committed before is then visible on
 * local), read local's row. Equal → it was on its way. Different, and both sides' row versions are the ones that the round before saw →
 * it differs: the source did not change since before a settle, and local shows all of it. Anything else goes into the next round;
 * what is left after the last one is unsettled. Row versions (xmin, ctid), not values, are compared between rounds, so that a
 * row that flips between two values is not taken for a constant one.
 */
import type { RowVersion } from '../postgres/checksum.ts';
import type { MismatchType } from './validation-report.ts';

export interface Candidate {
  readonly key: readonly string[];
  readonly chunk: number;
}

export interface SettledCandidates {
  readonly different: readonly (Candidate & { readonly type: MismatchType })[];
  readonly unsettled: readonly Candidate[];
  readonly equal: number;
}

/** Rows of one side by the position of their key in `keys`. */
export type LookUp = (keys: readonly (readonly string[])[]) => Promise<Map<number, RowVersion>>;

export interface SettleOptions {
  readonly lookUpSource: LookUp;
  readonly lookUpLocal: LookUp;
  readonly settle: () => Promise<void>;
  /** At least 2. */
  readonly rounds: number;
  /** Keys per query. */
  readonly batch: number;
  readonly signal?: AbortSignal;
}

interface Seen {
  readonly source: RowVersion | undefined;
  readonly local: RowVersion | undefined;
}

export async function settleCandidates(candidates: readonly Candidate[], options: SettleOptions): Promise<SettledCandidates> {
  const different: (Candidate & { type: MismatchType })[] = [];
  let open = candidates.map((candidate) => ({ candidate, before: undefined as Seen | undefined }));
  let equal = 0;
  for (let round = 0; round < Math.max(2, options.rounds) && open.length > 0; round += 1) {
    options.signal?.throwIfAborted();
    const keys = open.map((each) => each.candidate.key);
    const source = await lookUpAll(options.lookUpSource, keys, options.batch);
    await options.settle();
    const local = await lookUpAll(options.lookUpLocal, keys, options.batch);
    const next: typeof open = [];
    for (const [at, { candidate, before }] of open.entries()) {
      const seen: Seen = { source: source.get(at), local: local.get(at) };
      const verdict = judge(seen, before);
      if (verdict === 'equal') equal += 1;
      else if (verdict === 'open') next.push({ candidate, before: seen });
      else different.push({ ...candidate, type: verdict });
    }
    open = next;
  }
  return { different, unsettled: open.map((each) => each.candidate), equal };
}

/** Pure. */
export function judge(seen: Seen, before: Seen | undefined): MismatchType | 'equal' | 'open' {
  if (seen.source?.digest === seen.local?.digest) return 'equal';
  if (before === undefined || before.source?.version !== seen.source?.version || before.local?.version !== seen.local?.version) return 'open';
  if (seen.local === undefined) return 'MISSING_LOCAL';
  return seen.source === undefined ? 'MISSING_REMOTE' : 'VALUE_DIFF';
}

async function lookUpAll(lookUp: LookUp, keys: readonly (readonly string[])[], batch: number): Promise<Map<number, RowVersion>> {
  const found = new Map<number, RowVersion>();
  for (let from = 0; from < keys.length; from += batch) {
    for (const [at, row] of await lookUp(keys.slice(from, from + batch))) found.set(from + at, row);
  }
  return found;
}
