/**
 * Where a text names relations, so that they can be named otherwise: statements that run on a side on which a table has another name.
 *
 * Only statements that read or write rows, lock, empty or maintain tables have places; definitions are not rewritten. Offsets are bytes
 * of the text in UTF-8, as the parser gives them.
 */
import { rangeVarRef } from './facts-collector.ts';
import { splitQualifiedName } from './qualified-name.ts';
import { visitQuery } from './query-relations.ts';
import type { RelationRef, StatementFacts, StatementKind } from './statement-facts.ts';
import { classAt, spaceEnd, stringEnd, wordEnd } from './token-ends.ts';
import { byteClass } from './byte-classes.ts';
import { isTree, listOf, nameParts, nodeOf, stringNode, treeOf, unwrap, withoutCasts } from './tree.ts';
import type { Tree } from './tree.ts';

export interface NamePlace {
  /**
   * `relation`: the whole name, schema included. `column`: the schema in front of `table.column`, its dot included. `type`: a table's
   * row type. `literal`: a string constant that is read as the name of a relation or sequence, quotes included.
   */
  readonly kind: 'relation' | 'column' | 'type' | 'literal';
  readonly relation: RelationRef;
  readonly start: number;
  readonly end: number;
  /** Where an alias can stand that keeps the old name for the rest of the statement; undefined where there is one or none is allowed. */
  readonly aliasAt: number | undefined;
  /** `relation`: the statement itself gives it an alias, and cannot use its name any more. */
  readonly isAliased: boolean;
}

const quote = 0x27;
const doubleQuote = 0x22;
const dot = 0x2e;
const star = 0x2a;
const opening = 0x28;
const closing = 0x29;
const sequenceFunctions: ReadonlySet<string> = new Set(['nextval', 'currval', 'setval', 'pg_get_serial_sequence', 'to_regclass']);

/** `tree` is the JSON form of the text's parse result. In ascending order; names written in a way that is not understood (`U&"…"`) are left out. */
export function namePlaces(tree: unknown, bytes: Buffer): readonly NamePlace[] {
  const places = new Places(bytes);
  for (const item of listOf(treeOf(tree)?.['stmts'])) places.statement(treeOf(item)?.['stmt']);
  return places.list();
}

const placedKinds: ReadonlySet<StatementKind> = new Set<StatementKind>(['select', 'insert', 'update', 'delete', 'merge', 'copy_from', 'copy_to', 'truncate', 'lock', 'maintenance', 'call', 'execute']);
const wrappingKinds: ReadonlySet<StatementKind> = new Set<StatementKind>(['explain', 'prepare', 'declare_cursor', 'create_temp']);

/** Whether `namePlaces` finds what a statement of these facts names. */
export function hasPlaces({ kind, command, inner }: StatementFacts): boolean {
  return placedKinds.has(kind) || ((wrappingKinds.has(kind) || isTableFromQuery({ kind, command })) && inner !== undefined && hasPlaces(inner));
}

/** CREATE TABLE AS, and SELECT INTO: what it defines has rows at once. */
export function isTableFromQuery({ kind, command }: Pick<StatementFacts, 'kind' | 'command'>): boolean {
  return kind === 'ddl' && command === 'CREATE TABLE AS';
}

class Places {
  readonly #bytes: Buffer;
  readonly #found = new Map<number, NamePlace>();

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  list(): readonly NamePlace[] {
    return [...this.#found.values()].sort((a, b) => a.start - b.start);
  }

  statement(statement: unknown): void {
    const found = unwrap(statement);
    if (!found) return;
    const { name, node } = found;
    switch (name) {
      case 'SelectStmt': case 'InsertStmt': case 'UpdateStmt': case 'DeleteStmt': case 'MergeStmt':
        return this.#query(statement);
      case 'ExplainStmt': case 'PrepareStmt': case 'DeclareCursorStmt': case 'CreateTableAsStmt':
        return this.statement(node['query']);
      case 'CopyStmt':
        this.#table(treeOf(node['relation']));
        this.#query(node['query']);
        return this.#query(node['whereClause']);
      case 'TruncateStmt': case 'LockStmt':
        for (const item of listOf(node['relations'])) this.#table(nodeOf(item, 'RangeVar'));
        return;
      case 'VacuumStmt':
        for (const item of listOf(node['rels'])) this.#table(treeOf(nodeOf(item, 'VacuumRelation')?.['relation']));
        return;
      case 'ClusterStmt': case 'ReindexStmt':
        return this.#table(treeOf(node['relation']));
      case 'CallStmt':
        return this.#query(treeOf(node['funccall'])?.['args']);
      case 'ExecuteStmt':
        return this.#query(node['params']);
      default:
    }
  }

  #query(node: unknown): void {
    visitQuery(node, {
      read: (relation, rangeVar) => this.#relation(relation, rangeVar, true),
      write: (relation, rangeVar) => this.#relation(relation, rangeVar, true),
      raise: () => undefined,
      node: (name, found) => this.#node(name, found),
    });
  }

  #table(rangeVar: Tree | undefined): void {
    const relation = rangeVar === undefined ? undefined : rangeVarRef(rangeVar);
    if (rangeVar && relation) this.#relation(relation, rangeVar, false);
  }

  #relation(relation: RelationRef, rangeVar: Tree, mayAlias: boolean): void {
    const start = locationOf(rangeVar);
    const parts = 1 + ['schemaname', 'catalogname'].filter((field) => rangeVar[field] !== undefined).length;
    const end = start === undefined ? undefined : this.#nameEnd(start, parts);
    if (start === undefined || end === undefined) return;
    const isAliased = rangeVar['alias'] !== undefined;
    this.#found.set(start, { kind: 'relation', relation, start, end, aliasAt: mayAlias && !isAliased ? this.#aliasAt(start, end) : undefined, isAliased });
  }

  #node(name: string, node: Tree): void {
    if (name === 'ColumnRef') this.#column(node);
    else if (name === 'typeName') this.#type(node);
    else if (name === 'FuncCall') {
      if (sequenceFunctions.has(nameParts(node['funcname'])?.at(-1) ?? '')) this.#literal(listOf(node['args'])[0]);
    } else if (name === 'TypeCast' && nameParts(treeOf(node['typeName'])?.['names'])?.at(-1) === 'regclass') this.#literal(node['arg']);
  }

  /** `schema.table.column`, with or without a database in front. */
  #column(node: Tree): void {
    const fields = listOf(node['fields']);
    const [schema, table] = fields.slice(-3).map(stringNode);
    const start = locationOf(node);
    if (fields.length < 3 || schema === undefined || table === undefined || start === undefined) return;
    const schemaEnd = this.#nameEnd(start, fields.length - 2);
    if (schemaEnd === undefined) return;
    const end = this.#spaceEnd(this.#spaceEnd(schemaEnd) + 1);
    this.#found.set(start, { kind: 'column', relation: { schema, name: table }, start, end, aliasAt: undefined, isAliased: false });
  }

  #type(node: Tree): void {
    const parts = nameParts(node['names']);
    const name = parts?.at(-1);
    const start = locationOf(node);
    const schema = parts?.at(-2);
    // What the grammar has words of its own for comes with the schema that the text does not show.
    if (name === undefined || parts === undefined || schema === 'pg_catalog' || start === undefined) return;
    const end = this.#nameEnd(start, parts.length);
    if (end !== undefined) this.#found.set(start, { kind: 'type', relation: { schema, name }, start, end, aliasAt: undefined, isAliased: false });
  }

  #literal(argument: unknown): void {
    const inner = withoutCasts(argument);
    const call = nodeOf(inner, 'FuncCall');
    if (call) return;
    const constant = nodeOf(inner, 'A_Const');
    const value = treeOf(constant?.['sval'])?.['sval'];
    const start = constant === undefined ? undefined : locationOf(constant);
    const parts = typeof value === 'string' ? splitQualifiedName(value) : undefined;
    const name = parts?.at(-1);
    if (start === undefined || name === undefined || this.#bytes[start] !== quote) return;
    const end = stringEnd(this.#bytes, start, this.#bytes.length);
    if (end > 0) this.#found.set(start, { kind: 'literal', relation: { schema: parts?.at(-2), name }, start, end, aliasAt: undefined, isAliased: false });
  }

  /** Behind a name of so many parts; undefined for one that is not plainly written. */
  #nameEnd(start: number, parts: number): number | undefined {
    let at = start;
    for (let part = 1; ; part += 1) {
      const end = this.#identifierEnd(at);
      if (end === undefined || part === parts) return end;
      at = this.#spaceEnd(end);
      if (this.#bytes[at] !== dot) return undefined;
      at = this.#spaceEnd(at + 1);
    }
  }

  #identifierEnd(start: number): number | undefined {
    const bytes = this.#bytes;
    if (bytes[start] === doubleQuote) {
      for (let at = start + 1; at < bytes.length; at += 1) {
        if (bytes[at] !== doubleQuote) continue;
        if (bytes[at + 1] !== doubleQuote) return at + 1;
        at += 1;
      }
      return undefined;
    }
    if (classAt(bytes, start, bytes.length) !== byteClass.word || bytes[start + 1] === 0x26) return undefined;
    return wordEnd(bytes, start, bytes.length);
  }

  #spaceEnd(from: number): number {
    return spaceEnd(this.#bytes, from, this.#bytes.length);
  }

  /** Behind the name's `*`, and the parenthesis of `ONLY (name)`; undefined in `TABLE name`, which takes no alias. */
  #aliasAt(start: number, end: number): number | undefined {
    const bytes = this.#bytes;
    let before = this.#spaceStart(start);
    const isEnclosed = bytes[before - 1] === opening && /\bonly$/i.test(this.#textBefore(this.#spaceStart(before - 1)));
    if (isEnclosed) before = this.#spaceStart(before - 1);
    if (/\btable(\s+only)?$/i.test(this.#textBefore(before))) return undefined;
    const behind = this.#spaceEnd(end);
    if (isEnclosed) return bytes[behind] === closing ? behind + 1 : undefined;
    return bytes[behind] === star ? behind + 1 : end;
  }

  #spaceStart(from: number): number {
    let at = from;
    while (at > 0 && classAt(this.#bytes, at - 1, this.#bytes.length) === byteClass.space) at -= 1;
    return at;
  }

  #textBefore(at: number): string {
    return this.#bytes.toString('latin1', Math.max(0, at - 40), at);
  }
}

/** A location of 0 is left out of the JSON form; no name stands there. */
function locationOf(node: Tree): number | undefined {
  const { location } = node;
  return typeof location === 'number' && location > 0 && isTree(node) ? location : undefined;
}
