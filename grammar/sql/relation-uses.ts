/**
 * How a statement uses the relations that it reads: which of their columns, under which conditions, in which joins. For statements that run on
 * one side with rows brought from the other: only what they can need has to be brought. Everything here errs towards more rows and columns.
 */
import { namePlaces } from './name-places.ts';
import type { NamePlace } from './name-places.ts';
import { argumentTypes, argumentValues } from './prepared-arguments.ts';
import type { ConstantArgument } from './prepared-arguments.ts';
import { visitQuery } from './query-relations.ts';
import { columnEquality, columnName, conjuncts, renamed, rowFilter } from './row-filter.ts';
import type { ColumnName, RowFilter } from './row-filter.ts';
import type { RelationRef } from './statement-facts.ts';
import { isTree, listOf, nodeOf, stringNode, stringOf, treeOf, unwrap } from './tree.ts';
import type { Tree } from './tree.ts';

/** One place at which a statement reads a relation. */
export interface RelationUse {
  /** Of its name, as in its NamePlace. */
  readonly start: number;
  readonly relation: RelationRef;
  /** What the statement calls it. */
  readonly alias: string;
  /** The FROM clause that it stands in: names are known within one. */
  readonly level: number;
  /** ONLY: not the rows of its children. */
  readonly only: boolean;
  readonly isSampled: boolean;
  /** The target of UPDATE or DELETE: it is not read from elsewhere, and is here for its joins. */
  readonly isTarget: boolean;
  /** Its columns are meant by their order, or all of them at once. */
  readonly allColumns: boolean;
  /** Its rows are named whole, and are of its own columns' names, though an alias gives these others. */
  readonly keepsRowType: boolean;
  /** A row for which one of these is not true cannot be part of the result. */
  readonly filters: readonly RowFilter[];
  /** Nor can one that finds no partner by one of these. */
  readonly links: readonly (readonly [ColumnName, ColumnName])[];
}

export interface QueryUses {
  /** Where each statement of the text stands, in bytes; without the semicolon. */
  readonly statements: readonly { readonly start: number; readonly end: number }[];
  readonly places: readonly NamePlace[];
  readonly uses: readonly RelationUse[];
  /** Every other identifier of the text that may be a column's. */
  readonly names: ReadonlySet<string>;
  /** `alias.column` of those that are named so. */
  readonly qualified: ReadonlySet<string>;
  /** Number of a parameter → how often it stands in the text. */
  readonly parameters: ReadonlyMap<number, number>;
  /** Somewhere rows are grouped: a column may be given by the key of its table. */
  readonly groups: boolean;
  /** Columns that tell of a row's place in its table (`ctid`, `xmin`, …) are named. */
  readonly systemColumns: boolean;
  /** Of a PREPARE, in order. */
  readonly argumentTypes: readonly (string | undefined)[];
  /** Of an EXECUTE, in order. */
  readonly argumentValues: readonly (ConstantArgument | undefined)[];
}

export const noUses: QueryUses = {
  statements: [], places: [], uses: [], names: new Set(), qualified: new Set(), parameters: new Map(), groups: false, systemColumns: false, argumentTypes: [], argumentValues: [],
};

const systemColumns: ReadonlySet<string> = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid']);

/** What holds for a leaf of a join tree: conditions that its rows must meet, and whether it may only be met by equality in an inner join. */
interface Applicable {
  readonly filters: readonly RowFilter[];
  readonly links: readonly (readonly [ColumnName, ColumnName])[];
}

const nothing: Applicable = { filters: [], links: [] };

/** `tree` is the JSON form of the text's parse result. */
export function relationUses(tree: unknown, bytes: Buffer): QueryUses {
  const reading = new Reading();
  for (const item of listOf(treeOf(tree)?.['stmts'])) reading.statement(treeOf(item)?.['stmt']);
  return { statements: statementSpans(tree, bytes), ...reading.result(namePlaces(tree, bytes)) };
}

function statementSpans(tree: unknown, bytes: Buffer): QueryUses['statements'] {
  return listOf(treeOf(tree)?.['stmts']).map((item) => {
    const { stmt_location: location, stmt_len: length } = treeOf(item) ?? {};
    const start = typeof location === 'number' ? location : 0;
    return { start, end: typeof length === 'number' && length > 0 ? start + length : bytes.length };
  });
}

interface Leaf {
  readonly level: number;
  readonly isSampled: boolean;
  readonly applicable: Applicable;
}

class Reading {
  readonly #relations = new Map<Tree, RelationRef>();
  /** Targets of modifying statements, and what is locked. */
  readonly #targets = new Map<Tree, RelationRef>();
  readonly #leaves = new Map<Tree, Leaf>();
  readonly #names = new Set<string>();
  readonly #qualified = new Set<string>();
  readonly #parameters = new Map<number, number>();
  /** Aliases whose rows are named whole, or with a star. */
  readonly #whole = new Set<string>();
  #everything = false;
  #namesSystemColumn = false;
  #argumentTypes: readonly (string | undefined)[] = [];
  #argumentValues: readonly (ConstantArgument | undefined)[] = [];
  #groups = false;
  #levels = 0;
  /** Conditions of an outer level that hold for the rows of a sub-select in its FROM, in the sub-select's own names. */
  readonly #handed = new Map<Tree, readonly RowFilter[]>();

  /** Of any kind: what is in it is found wherever it stands. */
  statement(statement: unknown): void {
    visitQuery(statement, {
      read: (relation, rangeVar) => this.#relations.set(rangeVar, relation),
      write: (relation, rangeVar) => this.#targets.set(rangeVar, relation),
      raise: () => undefined,
      node: () => undefined,
    });
    const work: unknown[] = [statement];
    for (let next = work.pop(); next !== undefined; next = work.pop()) {
      if (Array.isArray(next)) work.push(...(next as unknown[]));
      else if (isTree(next)) this.#look(next, work);
    }
  }

  result(places: readonly NamePlace[]): Omit<QueryUses, 'statements'> {
    const uses = [...this.#targets, ...this.#relations].flatMap(([rangeVar, relation]): RelationUse[] => {
      const start = rangeVar['location'];
      const alias = treeOf(rangeVar['alias']);
      const name = stringOf(alias?.['aliasname']) ?? relation.name;
      const leaf = this.#leaves.get(rangeVar);
      const isTarget = !this.#relations.has(rangeVar);
      if (typeof start !== 'number' || (!isTarget && this.#targets.get(rangeVar) === relation)) return [];
      return [{
        start, relation, alias: name, level: leaf?.level ?? -1, only: rangeVar['inh'] !== true, isSampled: leaf?.isSampled ?? false, isTarget,
        keepsRowType: alias?.['colnames'] !== undefined && (this.#everything || this.#whole.has(name)),
        allColumns: this.#everything || this.#whole.has(name) || alias?.['colnames'] !== undefined,
        filters: leaf?.applicable.filters ?? [], links: leaf?.applicable.links ?? [],
      }];
    });
    return {
      places, uses, names: this.#names, qualified: this.#qualified, parameters: this.#parameters, groups: this.#groups, systemColumns: this.#namesSystemColumn,
      argumentTypes: this.#argumentTypes, argumentValues: this.#argumentValues,
    };
  }

  #look(tree: Tree, work: unknown[]): void {
    for (const [name, value] of Object.entries(tree)) {
      if (typeof value !== 'object' || value === null) continue;
      if (name !== 'ColumnRef') work.push(value);
      if (!isTree(value)) continue;
      switch (name) {
        case 'SelectStmt': case 'larg': case 'rarg': this.#select(value); break;
        case 'UpdateStmt': this.#level([{ RangeVar: value['relation'] }, ...listOf(value['fromClause'])], value['whereClause']); break;
        case 'DeleteStmt': this.#level([{ RangeVar: value['relation'] }, ...listOf(value['usingClause'])], value['whereClause']); break;
        // Rows of the source without a partner count too.
        case 'MergeStmt': this.#level([value['sourceRelation']], undefined); break;
        case 'ColumnRef': this.#column(value); break;
        case 'A_Indirection': this.#everything ||= listOf(value['indirection']).some(isStar); break;
        case 'ParamRef': this.#parameter(value['number']); break;
        case 'String': this.#names.add(stringOf(value['sval']) ?? ''); break;
        case 'JoinExpr': this.#everything ||= value['isNatural'] === true; break;
        case 'PrepareStmt': this.#argumentTypes = argumentTypes(value); break;
        case 'ExecuteStmt': this.#argumentValues = argumentValues(value); break;
        default:
      }
    }
  }

  /** The branches of a set operation are selects; those of a join have fields of the same name. */
  #select(select: Tree): void {
    if (listOf(select['groupClause']).length > 0) this.#groups = true;
    const from = listOf(select['fromClause']);
    if (from.length > 0) this.#level(from, select['whereClause'], this.#handed.get(select));
  }

  #level(items: readonly unknown[], where: unknown, handed: readonly RowFilter[] = []): void {
    const level = this.#levels++;
    const own = extended(nothing, conjuncts(where));
    const applicable = { filters: [...own.filters, ...handed], links: own.links };
    // Where nothing else is in FROM, a bare name can be of nothing else.
    const [only] = items.length === 1 ? items : [];
    for (const item of items) this.#item(item, level, applicable, false, item === only);
  }

  /**
   * A condition on the joined rows holds for the rows of a table in them, unless these may be missing there (the null-extended side of an outer
   * join); there the join's own condition holds in its place. Its partners may be any row, not only those that are in the result.
   */
  #item(item: unknown, level: number, applicable: Applicable, isSampled: boolean, isOnly = false): void {
    const found = unwrap(item);
    if (found?.name === 'RangeVar') this.#leaf(found.node, { level, isSampled, applicable });
    else if (found?.name === 'RangeTableSample') this.#item(found.node['relation'], level, applicable, true);
    else if (found?.name === 'JoinExpr') this.#join(found.node, level, applicable);
    else if (found?.name === 'RangeSubselect') this.#handDown(found.node, applicable.filters, isOnly);
  }

  /** Under other names for its columns (`t AS a (x, y)`) a name says nothing of the table's own. */
  #leaf(rangeVar: Tree, leaf: Leaf): void {
    const isRenamed = treeOf(rangeVar['alias'])?.['colnames'] !== undefined;
    this.#leaves.set(rangeVar, isRenamed ? { ...leaf, level: -1, applicable: nothing } : leaf);
  }

  /** What must hold for the rows of a sub-select must hold for those that they are made of, one by one or by groups of equal ones. */
  #handDown(item: Tree, filters: readonly RowFilter[], takesBare: boolean): void {
    const select = nodeOf(item['subquery'], 'SelectStmt');
    const alias = treeOf(item['alias']);
    const name = stringOf(alias?.['aliasname']);
    if (!select || name === undefined || alias?.['colnames'] !== undefined || filters.length === 0) return;
    const columns = outputColumns(select);
    const handed = filters.flatMap((filter) => renamed(filter, (column) => (column.qualifier === name || (takesBare && column.qualifier === undefined) ? columns(column.name) : undefined)) ?? []);
    if (handed.length > 0) this.#handed.set(select, handed);
  }

  #join(join: Tree, level: number, outer: Applicable): void {
    // An alias for the whole join hides the names in it.
    const base = join['alias'] === undefined ? outer : nothing;
    const own = conjuncts(join['quals']);
    const withOwn = extended(base, own);
    const inner = { ...withOwn, links: [...withOwn.links, ...usingLinks(join)] };
    const nullable: Applicable = { filters: extended(nothing, own).filters, links: [] };
    const [left, right] = ({ JOIN_INNER: [inner, inner], JOIN_LEFT: [base, nullable], JOIN_RIGHT: [nullable, base] } as const)[String(join['jointype']) as 'JOIN_INNER'] ?? [nothing, nothing];
    this.#item(join['larg'], level, left, false);
    this.#item(join['rarg'], level, right, false);
  }

  #parameter(number: unknown): void {
    if (typeof number === 'number') this.#parameters.set(number, (this.#parameters.get(number) ?? 0) + 1);
  }

  #column(column: Tree): void {
    const fields = listOf(column['fields']);
    const names = fields.map(stringNode);
    const last = names.at(-1);
    if (isStar(fields.at(-1))) {
      const of = names.at(-2);
      if (of === undefined) this.#everything = true;
      else this.#whole.add(of);
    } else if (last !== undefined) {
      if (names.length === 2) this.#qualified.add(names.join('.'));
      else this.#names.add(last);
      this.#namesSystemColumn ||= systemColumns.has(last);
      if (names.length <= 2) this.#whole.add(last);
    }
  }
}

/** What USING compares: the column that one of the tables on each side has. */
function usingLinks(join: Tree): Applicable['links'] {
  const names = listOf(join['usingClause']).flatMap((name) => stringNode(name) ?? []);
  const [left, right] = [leafNames(join['larg']), leafNames(join['rarg'])];
  return names.flatMap((name) => left.flatMap((one) => right.map((other) => [{ qualifier: one, name }, { qualifier: other, name }] as const)));
}

/** Tables of a join whose rows cannot be missing in it: only of these is a merged column surely the value. */
function leafNames(item: unknown): readonly string[] {
  const found = unwrap(item);
  if (found?.name === 'RangeVar') return [stringOf(treeOf(found.node['alias'])?.['aliasname']) ?? stringOf(found.node['relname']) ?? ''];
  if (found?.name !== 'JoinExpr' || found.node['alias'] !== undefined) return [];
  const { jointype, larg, rarg } = found.node;
  const isLeft = jointype === 'JOIN_INNER' || jointype === 'JOIN_LEFT';
  const isRight = jointype === 'JOIN_INNER' || jointype === 'JOIN_RIGHT';
  return [...(isLeft ? leafNames(larg) : []), ...(isRight ? leafNames(rarg) : [])];
}

/** Of a plain select: the column of its FROM that an output column is; undefined for any other. Where rows are grouped, only what they are grouped by. */
function outputColumns(select: Tree): (name: string) => ColumnName | undefined {
  const isPlain = ['larg', 'limitCount', 'limitOffset', 'distinctClause', 'windowClause', 'lockingClause', 'valuesLists'].every((field) => select[field] === undefined || listOf(select[field]).length === 0 && Array.isArray(select[field]));
  const targets = listOf(select['targetList']).map((target) => nodeOf(target, 'ResTarget'));
  if (!isPlain || hasWindow(targets)) return () => undefined;
  const groups = listOf(select['groupClause']);
  const grouped = groups.map((item) => JSON.stringify(columnName(item)));
  if (select['havingClause'] !== undefined && groups.length === 0) return () => undefined;
  const [first] = targets;
  const isAll = targets.length === 1 && first !== undefined && listOf(nodeOf(first['val'], 'ColumnRef')?.['fields']).length === 1 && isStar(listOf(nodeOf(first['val'], 'ColumnRef')?.['fields'])[0]);
  return (name) => {
    if (isAll) return groups.length === 0 ? { qualifier: undefined, name } : undefined;
    const found = targets.filter((target) => (stringOf(target?.['name']) ?? columnName(target?.['val'])?.name) === name);
    const column = found.length === 1 ? columnName(found[0]?.['val']) : undefined;
    const isWhole = groups.length === 0 && !targets.some(isAggregated);
    return column && (isWhole || grouped.includes(JSON.stringify(column))) ? column : undefined;
  };
}

/** A call that is not known to be of one row: an aggregate, or what makes rows. */
function isAggregated(target: Tree | undefined): boolean {
  return /"FuncCall"|Agg"/.test(JSON.stringify(target?.['val'] ?? null));
}

function hasWindow(targets: readonly (Tree | undefined)[]): boolean {
  return JSON.stringify(targets).includes('"over"');
}

function isStar(node: unknown): boolean {
  return nodeOf(node, 'A_Star') !== undefined;
}

function extended({ filters, links }: Applicable, conditions: readonly unknown[]): Applicable {
  const more = conditions.map((condition) => ({ filter: rowFilter(condition), link: columnEquality(condition) }));
  return { filters: [...filters, ...more.flatMap(({ filter }) => filter ?? [])], links: [...links, ...more.flatMap(({ link }) => (link ? [link] : []))] };
}
