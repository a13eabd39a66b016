/** LIMIT, OFFSET and row locks. */
import type { Emission, Scope } from './emission.ts';
import { int8 } from './pg-type.ts';
import { refuse } from './refusal.ts';
import { listOf, nodeOf, stringOf, treeOf } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

const all = '18446744073709551615';

/** `isOrderKept`: a sorted query has a limit in any case. */
export function limitClause(emission: Emission, select: Tree, isOrderKept = false): string {
  if (select['limitOption'] === 'LIMIT_OPTION_WITH_TIES') return refuse('FETCH FIRST WITH TIES');
  const count = rowCount(emission, select['limitCount'], 'limit');
  const offset = rowCount(emission, select['limitOffset'], 'offset');
  if (offset === undefined) return count === undefined ? (isOrderKept && listOf(select['sortClause']).length > 0 ? ` LIMIT ${all}` : '') : ` LIMIT ${count}`;
  return ` LIMIT ${count ?? all} OFFSET ${offset}`;
}

function rowCount(emission: Emission, node: unknown, kind: 'limit' | 'offset'): string | undefined {
  if (node === undefined) return undefined;
  const constant = nodeOf(node, 'A_Const');
  if (constant?.['isnull'] === true) return undefined;
  const parameter = nodeOf(node, 'ParamRef')?.['number'];
  if (typeof parameter === 'number') {
    emission.parameterType(parameter, int8);
    return emission.slot({ kind, number: parameter });
  }
  const integer = treeOf(constant?.['ival']);
  const value = Number(integer?.['ival'] ?? 0);
  return integer === undefined || value < 0 ? refuse(`${kind.toUpperCase()} that is no constant or parameter`) : String(value);
}

export function lockClause(emission: Emission, select: Tree, scope: Scope): string {
  const clauses = listOf(select['lockingClause']).map((item) => nodeOf(item, 'LockingClause') ?? refuse('FOR UPDATE'));
  const [clause, ...others] = clauses;
  if (clause === undefined) return '';
  if (others.length > 0) return refuse('several FOR UPDATE clauses');
  if (scope.grouping !== undefined) return refuse('FOR UPDATE of a query that groups');
  if (scope.relations.some(({ table }) => table === undefined)) return refuse('FOR UPDATE of what is no table');
  const { capabilities } = emission;
  const isExclusive = clause['strength'] === 'LCS_FORUPDATE' || clause['strength'] === 'LCS_FORNOKEYUPDATE';
  const names = listOf(clause['lockedRels']).map((item) => stringOf(nodeOf(item, 'RangeVar')?.['relname']) ?? '');
  const wait = clause['waitPolicy'] === 'LockWaitSkip' ? ' SKIP LOCKED' : clause['waitPolicy'] === 'LockWaitError' ? ' NOWAIT' : '';
  if (wait !== '' && !capabilities.skipLocked) return refuse(wait.trim());
  if (wait !== '' && !isExclusive && !capabilities.forShare) return refuse(`FOR SHARE${wait}`);
  const of = namesOf(emission, names, scope);
  return isExclusive ? ` FOR UPDATE${of}${wait}` : capabilities.forShare ? ` FOR SHARE${of}${wait}` : ' LOCK IN SHARE MODE';
}

function namesOf(emission: Emission, names: readonly string[], scope: Scope): string {
  const covers = scope.relations.every(({ alias }) => names.includes(alias));
  if (names.length === 0 || covers) return '';
  if (!emission.capabilities.forShare) return refuse('FOR UPDATE OF some of the tables');
  return ` OF ${names.map((name) => scope.relation([name], undefined).sqlName).join(', ')}`;
}
