/**
 * What the rules make of one statement, settled once; then each write costs a walk to one value and a look into a set.
 *
 * A table that is left out needs no values. Otherwise the tenant is that of the first of `tenant_id_columns` which the statement names: in WHERE, with `=` or IN, or among the columns
 * that it writes. Values are compared as bytes.
 */
import type { FilterRules, TablePattern } from '../../../config/cql/filter-file.ts';
import type { CqlStatement, CqlTerm } from '../../../grammar/cql/statement.ts';
import type { BindColumn } from '../../wire/cql/result-body.ts';
import type { FilterRule } from '../proxy-options.ts';
import { canTell, isTenant, tenantBytes } from '../../../grammar/cql/tenant-values.ts';

export interface FilterCounts {
  /** Statements, not writes: a prepared one is settled once. */
  tablesSkipped: number;
  tenantsSkipped: number;
  missing: number;
  mixed: number;
}

type Rule = 'pass' | 'skip' | FilterRule;

export function ruleFor(rules: FilterRules, counts: FilterCounts, keyspace: string, facts: CqlStatement, columns: readonly BindColumn[]): Rule {
  const children = facts.batch?.children;
  if (!children) return ruleOfOne(rules, counts, keyspace, facts, columns);
  const each = children.map((child) => ruleOfOne(rules, counts, keyspace, child, columns));
  if (each.every((rule) => rule === 'pass')) return 'pass';
  if (each.every((rule) => rule === 'skip')) return 'skip';
  return { goesToShadow: (frame, valuesAt, valueCount, hasNames) => together(rules, counts, each.map((rule) => rule === 'pass' || (rule !== 'skip' && rule.goesToShadow(frame, valuesAt, valueCount, hasNames)))) };
}

/** A batch of one text cannot be cut. */
function together(rules: FilterRules, counts: FilterCounts, goes: readonly boolean[]): boolean {
  if (goes.every((one) => one === goes[0])) return goes[0] ?? true;
  counts.mixed += 1;
  return rules.mixed_tenants === 'replicate';
}

function ruleOfOne(rules: FilterRules, counts: FilterCounts, keyspaceInUse: string, facts: CqlStatement, columns: readonly BindColumn[]): Rule {
  const { table, keyspace = keyspaceInUse } = facts;
  if (table === undefined) return 'pass';
  const matches = (list: readonly TablePattern[]): boolean => list.some((one) => (one.keyspace === '*' || one.keyspace === keyspace) && (one.table === '*' || one.table === table));
  if (matches(rules.table_blacklist) || (rules.table_whitelist.length > 0 && !matches(rules.table_whitelist))) {
    counts.tablesSkipped += 1;
    return 'skip';
  }
  const isWrite = facts.kind === 'insert' || facts.kind === 'update' || facts.kind === 'delete';
  if (!isWrite || (rules.tenant_blacklist.length === 0 && rules.tenant_whitelist.length === 0)) return 'pass';
  return new TenantRule(rules, counts, tenantOf(rules, facts), facts, columns);
}

interface TenantTerms {
  readonly column: string;
  readonly terms: readonly CqlTerm[];
  /** The one term is the whole list of `IN ?`. */
  readonly isList: boolean;
}

function tenantOf(rules: FilterRules, facts: CqlStatement): TenantTerms | undefined {
  for (const column of rules.tenant_id_columns) {
    const relation = facts.where.find(({ columns, operator, isToken, isPart }) => columns.length === 1 && columns[0] === column && (operator === '=' || operator === 'IN') && !isToken && !isPart);
    if (relation) return { column, terms: relation.terms, isList: relation.isWholeList };
    const write = facts.writes.find((one) => one.column === column && one.operation === 'set');
    if (write?.term) return { column, terms: [write.term], isList: false };
  }
  return undefined;
}

type Answer = 'goes' | 'stays' | 'missing' | 'mixed';

/** Asks of one value, or of the values of one list. */
type Ask = (frame: Buffer, values: ValuePlaces) => Answer;

class TenantRule implements FilterRule {
  readonly #rules: FilterRules;
  readonly #counts: FilterCounts;
  readonly #asks: readonly Ask[];
  readonly #values = new ValuePlaces();

  constructor(rules: FilterRules, counts: FilterCounts, tenant: TenantTerms | undefined, facts: CqlStatement, columns: readonly BindColumn[]) {
    this.#rules = rules;
    this.#counts = counts;
    this.#asks = (tenant?.terms ?? []).map((term) => askOf(rules, term, tenant?.isList ?? false, tenant?.column ?? '', facts, columns));
  }

  goesToShadow(frame: Buffer, valuesAt: number, valueCount: number, hasNames: boolean): boolean {
    this.#values.set(valuesAt, valueCount, hasNames);
    let whole: Answer = 'missing';
    for (const ask of this.#asks) {
      const answer = ask(frame, this.#values);
      if (answer === 'missing') return this.#missing();
      whole = whole === 'missing' || whole === answer ? answer : 'mixed';
    }
    switch (whole) {
      case 'goes': return true;
      case 'stays':
        this.#counts.tenantsSkipped += 1;
        return false;
      case 'mixed':
        this.#counts.mixed += 1;
        return this.#rules.mixed_tenants === 'replicate';
      case 'missing': return this.#missing();
      default: return whole satisfies never;
    }
  }

  #missing(): boolean {
    this.#counts.missing += 1;
    return this.#rules.missing_tenant === 'replicate';
  }
}

function askOf(rules: FilterRules, term: CqlTerm, isList: boolean, column: string, facts: CqlStatement, columns: readonly BindColumn[]): Ask {
  if (term.kind === 'constant') {
    if (term.form === 'null') return () => 'missing';
    const answer = mayGo(rules, (tenant) => isTenant(term, tenant)) ? 'goes' : 'stays';
    return () => answer;
  }
  if (term.kind !== 'bind') return () => 'missing';
  const name = facts.bindNames[term.index] ?? column;
  const type = columns[term.index]?.type;
  const typeId = type && (isList ? type.readUInt16BE(2) : type.readUInt16BE(0));
  if (typeId !== undefined && !canTell(typeId)) return () => 'missing';
  const black = keysOf(rules.tenant_blacklist, typeId);
  const white = rules.tenant_whitelist.length === 0 ? undefined : keysOf(rules.tenant_whitelist, typeId);
  const goes = (frame: Buffer, at: number, bytes: number): boolean => {
    const key = frame.toString('latin1', at, at + bytes);
    return !black.has(key) && (white === undefined || white.has(key));
  };
  return (frame, places) => {
    const at = places.find(frame, term.index, name);
    const bytes = at < 0 ? -1 : frame.readInt32BE(at - 4);
    if (bytes < 0) return 'missing';
    if (isList) return answerOfList(frame, at, goes);
    return goes(frame, at, bytes) ? 'goes' : 'stays';
  };
}

/** An empty list writes nothing: it may go. */
function answerOfList(frame: Buffer, at: number, goes: (frame: Buffer, at: number, bytes: number) => boolean): Answer {
  let whole: Answer | undefined;
  let next = at + 4;
  for (let left = frame.readInt32BE(at); left > 0; left -= 1) {
    const bytes = Math.max(0, frame.readInt32BE(next));
    const one = goes(frame, next + 4, bytes) ? 'goes' : 'stays';
    whole = whole === undefined || whole === one ? one : 'mixed';
    next += 4 + bytes;
  }
  return whole ?? 'goes';
}

function mayGo(rules: FilterRules, is: (tenant: string) => boolean): boolean {
  return !rules.tenant_blacklist.some(is) && (rules.tenant_whitelist.length === 0 || rules.tenant_whitelist.some(is));
}

function keysOf(tenants: readonly string[], typeId: number | undefined): ReadonlySet<string> {
  return new Set(tenants.flatMap((text) => tenantBytes(text, typeId)).map((bytes) => bytes.toString('latin1')));
}

/** Finds a value by its number, or by its name where values have names. One object for all: a rule asks and is done. */
class ValuePlaces {
  #at = 0;
  #count = 0;
  #hasNames = false;

  set(at: number, count: number, hasNames: boolean): void {
    this.#at = at;
    this.#count = count;
    this.#hasNames = hasNames;
  }

  /** The place of the value's bytes, behind their length; −1 when there is no such value. */
  find(frame: Buffer, index: number, name: string): number {
    let at = this.#at;
    for (let current = 0; current < this.#count; current += 1) {
      let isIt = current === index;
      if (this.#hasNames) {
        const length = frame.readUInt16BE(at);
        isIt = frame.toString('utf8', at + 2, at + 2 + length) === name;
        at += 2 + length;
      }
      if (isIt) return at + 4;
      at += 4 + Math.max(0, frame.readInt32BE(at));
    }
    return -1;
  }
}
