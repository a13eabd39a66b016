/** TRUNCATE of one table, where the server's own means the same: it begins the numbering again, and commits what is open. */
import { sqlTable } from './column-value.ts';
import type { Emission } from './emission.ts';
import { findTable } from './from-clause.ts';
import { refuse } from './refusal.ts';
import { makeStep } from './step.ts';
import type { Steps } from './step.ts';
import { listOf, nodeOf } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

export function emitTruncate(emission: Emission, node: Tree): Steps {
  const [relation, ...others] = listOf(node['relations']);
  if (others.length > 0) return refuse('TRUNCATE of several tables at once');
  if (node['behavior'] === 'DROP_CASCADE') return refuse('CASCADE of TRUNCATE');
  const table = findTable(emission, nodeOf(relation, 'RangeVar') ?? refuse('target'));
  const isNumbered = table.columns.some(({ autoIncrement }) => autoIncrement === true);
  if (isNumbered && node['restart_seqs'] !== true) return refuse('TRUNCATE without RESTART IDENTITY of a table with AUTO_INCREMENT, whose numbering would begin again (DELETE goes on with it)');
  return { steps: [makeStep(`TRUNCATE TABLE ${sqlTable(table)}`, { rowCount: 0 })], columns: [], needsTransaction: false, commits: true };
}
