/**
 * Walks a query (SELECT, INSERT, UPDATE, DELETE, MERGE and whatever nests in them) and tells a visitor of the relations it reads and
 * writes, names of CTEs resolved away. The work list takes the place of recursion: no statement is too deep for it.
 */
import { rangeVarRef } from './facts-collector.ts';
import type { FactsCollector } from './facts-collector.ts';
import { collectFunctionCall } from './function-call.ts';
import { collectRepeatability, dependsOnOrder } from './repeatability.ts';
import type { RelationRef, StatementFlags } from './statement-facts.ts';
import { isTree, listOf, nameParts, nodeOf, stringConstant, stringOf, treeOf, unwrap } from './tree.ts';
import type { Tree } from './tree.ts';

export interface QueryVisitor {
  /** `rangeVar` is where the relation is named; a locked one is told as read and as written. */
  read(relation: RelationRef, rangeVar: Tree): void;
  write(relation: RelationRef, rangeVar: Tree): void;
  raise(flag: Exclude<keyof StatementFlags, 'systemOnly'>): void;
  /** Every other named node, before what is in it. */
  node(name: string, node: Tree): void;
}

/** CTE names that hide relations of the same bare name, innermost first. */
interface Scope {
  readonly names: ReadonlySet<string>;
  readonly outer: Scope | undefined;
}

interface Work {
  readonly value: unknown;
  readonly scope: Scope | undefined;
}

/** `node` is wrapped, or any list or tree that holds wrapped nodes. */
export function collectQuery(node: unknown, into: FactsCollector): void {
  visitQuery(node, {
    read: (relation) => into.read(relation),
    write: (relation) => into.write(relation),
    raise: (flag) => into.raise(flag),
    node: (name, found) => {
      collectRepeatability(name, found, into);
      into.catalogNames.node(name, found);
      if (name === 'FuncCall') collectFunctionCall(found, into);
      else if (name === 'TypeCast' && isNameCast(found)) into.raise('literalSensitive');
    },
  });
}

export function visitQuery(node: unknown, visitor: QueryVisitor): void {
  const walk = new QueryWalk(visitor);
  walk.run(node);
}

/** `'t'::regclass` and its like: the literal names an object. */
function isNameCast(cast: Tree): boolean {
  const type = nameParts(treeOf(cast['typeName'])?.['names'])?.at(-1) ?? '';
  return type.startsWith('reg') && stringConstant(cast['arg']) !== undefined;
}

class QueryWalk {
  readonly #into: QueryVisitor;
  readonly #work: Work[] = [];

  constructor(into: QueryVisitor) {
    this.#into = into;
  }

  run(node: unknown): void {
    this.#push(node, undefined);
    for (let item = this.#work.pop(); item !== undefined; item = this.#work.pop()) this.#visit(item.value, item.scope);
  }

  #push(value: unknown, scope: Scope | undefined): void {
    if (typeof value === 'object' && value !== null) this.#work.push({ value, scope });
  }

  #visit(value: unknown, scope: Scope | undefined): void {
    if (Array.isArray(value)) {
      for (const item of value) this.#push(item, scope);
      return;
    }
    if (!isTree(value)) return;
    for (const name of Object.keys(value)) {
      const node = value[name];
      if (isTree(node)) this.#visitNode(name, node, scope);
      else this.#push(node, scope);
    }
  }

  /** `name` is a node's name, or a field that holds an unwrapped node: those that matter are met below their parents only. */
  #visitNode(name: string, node: Tree, scope: Scope | undefined): void {
    switch (name) {
      case 'SelectStmt': return this.#select(node, scope);
      case 'InsertStmt': case 'UpdateStmt': case 'DeleteStmt': case 'MergeStmt': return this.#modify(node, scope);
      case 'RangeVar': return this.#relation(node, scope);
      default: this.#into.node(name, node);
    }
    this.#push(node, scope);
  }

  #select(select: Tree, outer: Scope | undefined): void {
    const scope = this.#withClause(select, outer);
    if (dependsOnOrder(select)) this.#into.raise('orderDependent');
    for (const field of Object.keys(select)) {
      if (field === 'larg' || field === 'rarg') this.#push({ SelectStmt: select[field] }, scope);
      else if (field !== 'withClause' && field !== 'lockingClause' && field !== 'intoClause') this.#push(select[field], scope);
    }
    for (const item of listOf(select['lockingClause'])) this.#lock(select, nodeOf(item, 'LockingClause'), scope);
  }

  /** The target of a modifying statement is never a CTE, whatever its name. */
  #modify(statement: Tree, outer: Scope | undefined): void {
    const scope = this.#withClause(statement, outer);
    const target = treeOf(statement['relation']);
    const relation = target === undefined ? undefined : rangeVarRef(target);
    if (relation !== undefined && target !== undefined) this.#into.write(relation, target);
    if (statement['returningClause'] !== undefined || statement['returningList'] !== undefined) this.#into.raise('returning');
    for (const field of Object.keys(statement)) {
      if (field !== 'withClause' && field !== 'relation') this.#push(statement[field], scope);
    }
  }

  /** Queues the CTEs, each with the names that it sees, and returns the scope of the statement that has them. */
  #withClause(statement: Tree, outer: Scope | undefined): Scope | undefined {
    const clause = treeOf(statement['withClause']);
    if (clause === undefined) return outer;
    const all = scopeOf(statement, outer);
    const before = new Set<string>();
    for (const item of listOf(clause['ctes'])) {
      const cte = nodeOf(item, 'CommonTableExpr');
      if (cte === undefined) continue;
      // Under RECURSIVE every CTE sees every other, itself included; else only those before it.
      this.#push(cte['ctequery'], clause['recursive'] === true ? all : { names: new Set(before), outer });
      if (unwrap(cte['ctequery'])?.name !== 'SelectStmt') this.#into.raise('writesInCte');
      before.add(stringOf(cte['ctename']) ?? '');
    }
    return all;
  }

  #relation(rangeVar: Tree, scope: Scope | undefined): void {
    const relation = rangeVarRef(rangeVar);
    if (relation !== undefined && !isCte(rangeVar, scope)) this.#into.read(relation, rangeVar);
  }

  /**
   * FOR UPDATE and its like lock the tables of their own FROM, and of the sub-selects in it; never those of CTEs. Without OF
   * all of them, else those whose alias is named.
   */
  #lock(select: Tree, clause: Tree | undefined, scope: Scope | undefined): void {
    this.#into.raise('lockingRead');
    const named = new Set<string>();
    for (const item of listOf(clause?.['lockedRels'])) named.add(stringOf(nodeOf(item, 'RangeVar')?.['relname']) ?? '');
    const work: { readonly item: unknown; readonly scope: Scope | undefined; readonly all: boolean }[] = [];
    const queueFrom = (from: Tree, inner: Scope | undefined, all: boolean): void => {
      for (const item of listOf(from['fromClause'])) work.push({ item, scope: inner, all });
      for (const side of [treeOf(from['larg']), treeOf(from['rarg'])]) if (side !== undefined) queueFrom(side, scopeOf(side, inner), all);
    };
    queueFrom(select, scope, named.size === 0);
    for (let next = work.pop(); next !== undefined; next = work.pop()) {
      const { item, scope: inner, all } = next;
      const found = unwrap(item);
      if (found === undefined) continue;
      const locked = all || named.has(aliasOf(found.node));
      if (found.name === 'RangeVar') this.#lockRelation(found.node, inner, locked);
      else if (found.name === 'JoinExpr') work.push({ item: found.node['larg'], scope: inner, all }, { item: found.node['rarg'], scope: inner, all });
      else if (found.name === 'RangeTableSample') work.push({ item: found.node['relation'], scope: inner, all });
      else if (found.name === 'RangeSubselect' && locked) {
        const subselect = nodeOf(found.node['subquery'], 'SelectStmt');
        if (subselect !== undefined) queueFrom(subselect, scopeOf(subselect, inner), true);
      }
    }
  }

  #lockRelation(rangeVar: Tree, scope: Scope | undefined, locked: boolean): void {
    const relation = rangeVarRef(rangeVar);
    if (locked && relation !== undefined && !isCte(rangeVar, scope)) this.#into.write(relation, rangeVar);
  }
}

function scopeOf(statement: Tree, outer: Scope | undefined): Scope | undefined {
  const clause = treeOf(statement['withClause']);
  if (clause === undefined) return outer;
  const names = listOf(clause['ctes']).map((item) => stringOf(nodeOf(item, 'CommonTableExpr')?.['ctename']) ?? '');
  return { names: new Set(names), outer };
}

function isCte(rangeVar: Tree, scope: Scope | undefined): boolean {
  if (rangeVar['schemaname'] !== undefined) return false;
  const name = stringOf(rangeVar['relname']) ?? '';
  for (let at = scope; at !== undefined; at = at.outer) if (at.names.has(name)) return true;
  return false;
}

/** What `OF` calls a FROM item. */
function aliasOf(item: Tree): string {
  return stringOf(treeOf(item['alias'])?.['aliasname']) ?? stringOf(item['relname']) ?? '';
}
