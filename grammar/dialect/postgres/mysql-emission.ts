/** What one translation knows and collects: facts, slots, the names that are in scope. */
import { quoteLiteral } from '../../names.ts';
import { isNamedZone } from '../named-zone.ts';
import type { Value } from './mysql-expression.ts';
import type { MysqlFacts, MysqlSlot, MysqlStep, MysqlTableFacts, PgForm } from './mysql-translation.ts';
import { columnType } from './mysql-type.ts';
import type { TextCollation } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';

/** A column that a name can mean. */
export interface ScopeColumn {
  readonly name: string;
  readonly value: Value;
}

export interface Relation {
  readonly alias: string;
  readonly database: string | undefined;
  readonly table: MysqlTableFacts | undefined;
  readonly columns: readonly ScopeColumn[];
}

/** The tables of one SELECT, and what its clauses may name. */
export class Scope {
  readonly parent: Scope | undefined;
  readonly relations: Relation[] = [];
  /** Columns of `USING` and NATURAL by lower-case name, which are found before those of single tables. */
  readonly merged = new Map<string, ScopeColumn>();
  /** Columns that stand outside of aggregates, by their SQL, with where they were named: what GROUP BY has to account for. */
  readonly free: { readonly value: Value; readonly place: number | undefined }[] = [];
  /** SQL → what stands for it after grouping or after an assignment. */
  readonly substitutes = new Map<string, string>();
  readonly groups = new Set<string>();
  aggregateDepth = 0;
  /** How often its columns were named. */
  named = 0;
  hasAggregates = false;
  hasOuterJoin = false;
  hasWindows = false;
  /** Where aggregates may stand: not in WHERE, ON, GROUP BY. */
  allowsAggregates = false;
  allowsWindows = false;
  /** Select aliases that HAVING and ORDER BY may name, in lower case. */
  aliases: ReadonlyMap<string, Value> | undefined;
  /** Subqueries and ORDER BY look for aliases first. */
  aliasesFirst = false;

  constructor(parent: Scope | undefined) {
    this.parent = parent;
  }
}

export interface CommonRelation {
  readonly alias: string;
  readonly columns: readonly { readonly name: string; readonly type: Value['type']; readonly nullable: boolean }[];
}

const isOffset = /^[+-]\d{1,2}:\d\d$/;

export class MysqlEmission {
  readonly facts: MysqlFacts;
  readonly collations = new Map<string, TextCollation>();
  readonly commonTables = new Map<string, CommonRelation>();
  readonly #slots: MysqlSlot[] = [];
  readonly #bySlot = new Map<string, number>();
  #aliases = 0;
  /** A write in strict mode: where a query has NULL and a warning there is an error. */
  isWrite = false;
  /** An integer division by zero is an error, not NULL: inside a write in strict mode. */
  isStrictDivision = false;
  /** Inside a statement that writes, of a strict session. */
  isStrictWrite = false;

  constructor(facts: MysqlFacts) {
    this.facts = facts;
  }

  /** The place of a slot's value in a text; the same slot has the same place. */
  slot(slot: MysqlSlot): string {
    const key = JSON.stringify(slot);
    const number = this.#bySlot.get(key) ?? this.#slots.length;
    if (number === this.#slots.length) this.#slots.push(slot);
    this.#bySlot.set(key, number);
    return `\0${number}\0`;
  }

  /** The slot that this text is the value of. */
  slotOf(sql: string): MysqlSlot | undefined {
    const number = /^\0(\d+)\0::\w+$/.exec(sql)?.[1];
    return number === undefined ? undefined : this.#slots[Number(number)];
  }

  parameter(number: number, form: PgForm, pgType: string, notNull?: boolean): string {
    return `${this.slot({ kind: 'parameter', number, form, ...(notNull === true ? { notNull } : {}) })}::${pgType}`;
  }

  /** A name for a derived table that nothing else can have. */
  alias(): string {
    this.#aliases += 1;
    return `"~${this.#aliases}"`;
  }

  step(text: string, answer: MysqlStep['answer']): MysqlStep {
    const order: number[] = [];
    const bound = text.replace(/\0(\d+)\0/g, (_, digits: string) => {
      const number = Number(digits);
      if (!order.includes(number)) order.push(number);
      return `$${order.indexOf(number) + 1}`;
    });
    return { text: bound, slots: order.map((number) => this.#slots[number] ?? refuse('slot')), answer };
  }

  table(database: string | undefined, name: string, place: number): MysqlTableFacts {
    const from = database ?? this.facts.database;
    const table = from === undefined ? undefined : this.facts.table(from, name);
    if (table === undefined) return refuse(`table ${database === undefined ? '' : `${database}.`}${name}`, place);
    for (const column of table.columns) {
      const type = columnType(column);
      const collation = type.kind === 'text' ? type.collation : undefined;
      if (collation !== undefined) this.collations.set(collation.name, collation);
    }
    return table;
  }

  /** Of constants that meet no column. */
  connectionCollation(place: number | undefined): TextCollation {
    const { collation, charset } = this.facts;
    const known = this.collations.get(collation);
    if (known !== undefined) return known;
    if (collation === 'binary' || collation.endsWith('_bin')) return { name: collation, local: '"pg_catalog"."C"', deterministic: true, pads: collation !== 'binary' && !collation.includes('0900'), charset };
    return refuse('comparison of strings that are no columns', place);
  }

  /** Of the labels of an ENUM or SET. */
  labelCollation(collation: TextCollation | undefined): TextCollation | undefined {
    return collation === undefined ? undefined : this.collations.get(collation.name) ?? (collation.name.endsWith('_bin') ? { ...collation, local: '"pg_catalog"."C"', deterministic: true } : collation);
  }

  /** Of strings that a session makes: collation_connection, as a column has it. */
  get ownCollation(): TextCollation {
    const { collation: name, charset } = this.facts;
    return this.collations.get(name) ?? { name, local: undefined, deterministic: false, pads: !name.includes('0900'), charset };
  }

  /** Of what the server makes in a character set: its default collation. */
  defaultCollation(charset: string): TextCollation {
    const { flavour, version } = this.facts.mode.server;
    const name = charset === 'utf8mb4' && flavour === 'mysql' && version >= 80000 ? 'utf8mb4_0900_ai_ci' : charset === 'latin1' ? 'latin1_swedish_ci' : `${charset}_general_ci`;
    return this.collations.get(name) ?? { name, local: undefined, deterministic: false, pads: !name.includes('0900'), charset };
  }

  /** The session's zone, behind AT TIME ZONE. CET, which a server may say of its system, is a zone with summer time to the one side and an hour to the other. */
  get zone(): string {
    const { timeZone } = this.facts;
    if (isOffset.test(timeZone)) return `INTERVAL '${timeZone}'`;
    return timeZone === 'UTC' || isNamedZone(timeZone) ? quoteLiteral(timeZone) : refuse(`time zone ${timeZone}`);
  }

  /** A clock that is never put forward or back. */
  get hasFixedOffset(): boolean {
    return this.isUtc || isOffset.test(this.facts.timeZone);
  }

  /** MySQL makes a date and time of every TIMESTAMP that is no column, and so cannot tell the two instants of one; MariaDB keeps the instant. */
  get losesInstants(): boolean {
    return this.facts.mode.server.flavour === 'mysql' && !this.hasFixedOffset;
  }

  get isUtc(): boolean {
    return /^(?:utc|[+-]0?0:00)$/i.test(this.facts.timeZone);
  }
}
