/**
 * What the ledger of a load says, and what has to be done next. Pure: `decideLoad` is the whole of crash recovery.
 *
 * Phases: (absent) → copying → copied → done; `forgotten` from any of them. Forms of copying:
 * - `snapshot`: chunks of one exported snapshot; what has landed is whole only if the load ends under that snapshot.
 * - `key`: key ranges, each read by itself; a finished chunk is finished for good. Written idempotently where rows of a snapshot may have landed before.
 */
import type { LoadState } from '../postgres/row-writer-ledger.ts';
import type { TablePlan } from '../table-plan.ts';

export type LoadStep =
  /** Start from nothing. `ownsRows`: what is in the target came from an earlier load and goes. */
  | { readonly step: 'begin'; readonly form: 'snapshot' | 'key'; readonly ownsRows: boolean }
  /** The snapshot is gone, rows of it have landed: build the key, then read the table again by key ranges (RULES 2). */
  | { readonly step: 'switch_to_keys' }
  | { readonly step: 'continue_keys'; readonly order: readonly string[]; readonly bounds: readonly (readonly string[])[]; readonly appends: boolean }
  /** Every row has landed, the key may not be there yet. */
  | { readonly step: 'finish' }
  | { readonly step: 'nothing' };

export function decideLoad(state: LoadState, plan: TablePlan, orderBy: string | undefined, sharesSnapshots: boolean): LoadStep {
  const { header } = state;
  const hasKey = plan.keyKind !== 'full';
  const begin = (ownsRows: boolean): LoadStep => ({ step: 'begin', form: hasKey && (orderBy !== undefined || !sharesSnapshots) ? 'key' : 'snapshot', ownsRows });
  if (!header) return begin(false);
  if (header.definitionHash !== plan.definitionHash) return begin(true);
  switch (header.phase) {
    case 'forgotten':
      return begin(true);
    case 'done':
      return { step: 'nothing' };
    case 'copied':
      return { step: 'finish' };
    case 'copying':
      if (header.form === 'key' && header.order && header.bounds) return { step: 'continue_keys', order: header.order, bounds: header.bounds, appends: header.appends === true };
      // Nothing has landed: the fast form again. No key: nothing tells a row that landed from one that did not.
      return state.finished.length === 0 || !hasKey ? begin(true) : { step: 'switch_to_keys' };
    default:
      return header.phase satisfies never;
  }
}
