/** The work for one hybrid statement: look at what it needs, choose where it runs, bring the rows, and write its text for there. */
import type { Side } from '../../../catalog/routing-snapshot.ts';
import { quoteLiteral, quoteName, quoteTableName } from '../../../grammar/names.ts';
import type { TableName } from '../../../grammar/names.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { executedName, preparedName, withName } from '../../../grammar/sql/prepared-name.ts';
import { renameRelations } from '../../../grammar/sql/rename-relations.ts';
import type { OtherName, RenamedText } from '../../../grammar/sql/rename-relations.ts';
import type { QueryUses, RelationUse } from '../../../grammar/sql/relation-uses.ts';
import type { RelationRef } from '../../../grammar/sql/statement-facts.ts';
import type { InternalReply } from '../../execute/segment.ts';
import type { HybridWay } from '../../route/route.ts';
import { argumentsFor, parameterSql } from '../../wire/bind-parameters.ts';
import { canceledByUser, errorFieldsOf } from '../client-error.ts';
import type { Leg } from '../leg.ts';
import type { SessionCore } from '../session-core.ts';
import { chooseWay } from './choose-way.ts';
import type { Plan } from './choose-way.ts';
import { columnsQuery, readColumns, unmovable } from './describe-relations.ts';
import { definitionsQuery, readDefinitions, replaceViews } from './expand-views.ts';
import { conditionsOf, copyRows, createTable, createTableOfAll, fillTable, fromRows, ownColumn, planFetches } from './fetch-plan.ts';
import type { Fetch, MovedRelation } from './fetch-plan.ts';
import { HybridRefusal, refusal, serverRefusal } from './hybrid-work.ts';
import type { HybridReady, HybridWork } from './hybrid-work.ts';
import { inlineRows } from './inline-rows.ts';
import { fetchedRows, mysqlRelation, refuseOwnTypes } from '../mysql-tables/fetched-rows.ts';
import { moveRows } from './moved-rows.ts';
import type { RowSource } from './moved-rows.ts';
import { noTableText, remedies } from './no-table.ts';
import type { NoTable } from './no-table.ts';
import { isReplaceable } from './replaceable.ts';

/** Bytes in a statement where there can, or should, be no table. */
const INLINE_BYTES_WITHOUT_TABLE = 8 * 1024 * 1024;
/** Views over views. */
const MAX_VIEWS_DEEP = 16;
/** So many keys are sent at most. */
const MAX_KEYS = 10_000;

/** Values that any settings of the reading side read as they were. */
const exactText = 'SET LOCAL DateStyle TO ISO; SET LOCAL IntervalStyle TO iso_8601; SET LOCAL extra_float_digits TO 3; SET LOCAL bytea_output TO hex; ';

interface Placed {
  readonly key: string;
  readonly source: TableName;
  readonly local: TableName;
}

/** Throws a HybridRefusal for what the client is to be told. */
export async function bringRows(core: SessionCore, work: HybridWork, nextTable: () => string): Promise<HybridReady> {
  let text: RenamedText = { bytes: work.text, before: work.text, edits: [] };
  let { ways, views } = work.route;
  for (let depth = 0; ; depth += 1) {
    const query = await usesOf(core, text);
    if (views.size === 0) {
      const parameters = work.byName?.text ? argumentsFor(query, await usesOf(core, { bytes: work.byName.text, before: work.byName.text, edits: [] })) : work.parameters;
      return runByName(core, work, await runSurely((trusts) => new Bringing(core, { ...work, text: text.bytes, parameters }, ways, query, text, nextTable, trusts)));
    }
    if (depth > MAX_VIEWS_DEEP) throw refusal('Views over tables of both sides are nested too deeply', `There are more than ${MAX_VIEWS_DEEP} levels.`, 'Query the tables themselves.');
    text = await expandViews(core, work, query, text, views);
    const route = work.routeOf(await core.services.facts.facts(text.bytes, 0, text.bytes.length));
    if (route.type === 'refuse') throw new HybridRefusal(errorFieldsOf(new MigrationError(route.code, route.message, { detail: route.detail, hint: route.hint })));
    if (route.type === 'hybrid') ({ ways, views } = route);
    else if (route.type === 'leg') [ways, views] = [[{ runOn: route.leg === 'local' ? 'local' : 'source', moved: new Set(), fromMysql: new Set(), route }], new Set()];
    else throw refusal('The tables of a view are changing sides', `It is ${[...views].join(', ')}.`, 'Run the statement again.');
  }
}

async function usesOf(core: SessionCore, text: RenamedText): Promise<QueryUses> {
  const query = await core.services.facts.uses(text.bytes.toString('utf8'));
  if (query) return query;
  throw refusal('Too many large statements at once', 'The relations that it reads have to be looked up.', 'Try again in a moment.');
}

/** First with what is known of columns; anew when that was not right any more. */
async function runSurely(make: (trusts: boolean) => Bringing): Promise<HybridReady> {
  const first = make(true);
  try {
    const ready = await first.run();
    if (await first.knewRight()) return ready;
    await first.undo(ready);
  } catch (error) {
    if (await first.knewRight()) throw error;
  }
  return make(false).run();
}

/** A PREPARE with its rows is sent under a name of the gateway's own, which takes the place of the client's in what runs it. */
async function runByName(core: SessionCore, work: HybridWork, ready: HybridReady): Promise<HybridReady> {
  const { byName } = work;
  if (!byName) return ready;
  const { runOn } = ready.way;
  const statement = byName.newName(runOn);
  const prepare = withName(ready.text.bytes, preparedName(ready.text.bytes), statement);
  if (!prepare) throw new Error('a PREPARE without a name');
  await askLeg(core, work, runOn, prepare.toString());
  if (!byName.text) return { ...ready, statement };
  const span = executedName(byName.text);
  const bytes = withName(byName.text, span, statement);
  if (!span || !bytes) throw refusal('A prepared statement over both sides is run in a way that cannot be replaced', 'The name behind EXECUTE was not found.', 'Write its name plainly, without U&"…".');
  return { ...ready, statement, text: { bytes, before: byName.text, edits: [{ ...span, length: statement.length }], own: { name: statement, was: byName.name } } };
}

async function expandViews(core: SessionCore, work: HybridWork, query: QueryUses, text: RenamedText, views: ReadonlySet<string>): Promise<RenamedText> {
  const { services, searchPath, temporaryTables } = core;
  const placed = (relation: RelationRef): Placed | undefined => services.routes.placed(relation, work.snapshot, { searchPath, temporaryTables });
  const names = new Map<string, TableName>();
  for (const { relation } of query.uses) {
    const found = placed(relation);
    if (found && views.has(found.key)) names.set(found.key, found.source);
  }
  const reply = await askLeg(core, work, 'source', definitionsQuery([...names.values()], core.tx !== undefined));
  return replaceViews(text, query, readDefinitions(reply.rows, [...names.keys()]), (relation) => placed(relation)?.key);
}

/** `position`: of what the question is about, should the answer be an error. */
async function askLeg(core: SessionCore, work: HybridWork, side: Side, sql: string, position?: number): Promise<InternalReply> {
  const leg = core.leg(side);
  if (!leg) throw new Error(`no leg to ${side}`);
  const reply = await new Promise<InternalReply>((settle) => core.ask(leg, sql, settle));
  if (reply.error) throw serverRefusal(reply.error, position);
  if (work.canceled) throw new HybridRefusal(canceledByUser);
  return reply;
}

class Bringing {
  readonly #core: SessionCore;
  readonly #work: HybridWork;
  readonly #ways: readonly HybridWay[];
  readonly #query: QueryUses;
  readonly #text: RenamedText;
  readonly #nextTable: () => string;
  readonly #trusts: boolean;
  /** Whether what was taken for known was so. */
  readonly #checks: Promise<boolean>[] = [];

  /** `text`: the client's, or what its views have made of it. `trusts`: columns may be as they were last. */
  constructor(core: SessionCore, work: HybridWork, ways: readonly HybridWay[], query: QueryUses, text: RenamedText, nextTable: () => string, trusts: boolean) {
    this.#core = core;
    this.#work = work;
    this.#ways = ways;
    this.#query = query;
    this.#text = text;
    this.#nextTable = nextTable;
    this.#trusts = trusts;
  }

  async run(): Promise<HybridReady> {
    const ways = this.#ways;
    this.#checkText();
    const plans = await Promise.all(ways.map((way) => this.#planned(way)));
    const hasLinks = plans.some(({ fetches }) => fetches.some(({ uses }) => uses.some(({ links }) => links.length > 0)));
    const { plan, mayHaveTable } = await chooseWay(this.#core, plans, (side, sql) => this.#ask(side, sql), this.#work.temporary, !this.#work.isShape && (plans.length > 1 || hasLinks));
    if (!this.#work.isShape) await this.#onlyLinked(plan);
    return this.#brought(plan, this.#isReadOnly ? 'read only' : mayHaveTable ? undefined : 'not allowed');
  }

  // What the statement needs

  #checkText(): void {
    const { uses, places, systemColumns } = this.#query;
    const moved = new Set(this.#ways.flatMap((way) => [...way.moved]));
    if (systemColumns) throw refusal('A statement over both sides cannot use system columns', 'It names ctid, xmin, xmax, cmin, cmax or tableoid, which rows lose when they are brought to the other side.', 'Leave them out, or split the statement in two.');
    const sampled = uses.find((use) => use.isSampled && moved.has(this.#placed(use.relation)?.key ?? ''));
    if (sampled) throw refusal('TABLESAMPLE needs its table where the statement runs', `${sampled.alias} is on the other side.`, 'Split the statement in two.');
    const known = new Set(uses.map(({ start }) => start));
    const unknown = places.find(({ kind, start, relation }) => kind === 'relation' && !known.has(start) && moved.has(this.#placed(relation)?.key ?? ''));
    const unnamed = [...moved].find((key) => !uses.some(({ relation }) => this.#placed(relation)?.key === key));
    if (unknown || unnamed !== undefined) throw refusal('A relation of the other side is named in a way that cannot be replaced', `It is ${unknown?.relation.name ?? unnamed ?? ''}.`, 'Write its name plainly, without U&"…".');
  }

  #placed(relation: RelationRef): Placed | undefined {
    const { services, searchPath, temporaryTables } = this.#core;
    return services.routes.placed(relation, this.#work.snapshot, { searchPath, temporaryTables });
  }

  async #planned(way: HybridWay): Promise<Plan> {
    const from = otherSide(way.runOn);
    const names = new Map<string, TableName>();
    const beyond = new Map<string, MovedRelation>();
    for (const { relation } of this.#query.uses) {
      const placed = this.#placed(relation);
      const facts = placed && way.fromMysql.has(placed.key) ? this.#core.services.control.tableFacts(placed.key) : undefined;
      if (placed && facts) beyond.set(placed.key, mysqlRelation(placed.key, placed.source, facts));
      else if (placed && way.moved.has(placed.key)) names.set(placed.key, placed[from]);
    }
    const relations = new Map([...(await this.#describe(from, names)), ...beyond]);
    const money = [...relations.values()].map((relation) => ({ relation, column: unmovable(relation) })).find(({ column }) => column !== undefined);
    if (money) throw refusal('Values of type money cannot be brought to the other side', `Column ${money.column?.name ?? ''} of ${money.relation.key}: their text depends on lc_monetary.`, 'Split the statement in two.');
    const fetches = planFetches(this.#query, ({ relation }) => relations.get(this.#placed(relation)?.key ?? ''), this.#parameter);
    if (way.runOn === 'source') refuseOwnTypes(fetches);
    // Those of MySQL come last.
    return { way, fetches: fetches.toSorted((a, b) => Number(a.relation.mysql !== undefined) - Number(b.relation.mysql !== undefined)), rows: undefined };
  }

  /** One without a type has that of the place where it first stands, which is known only where it stands but once. */
  readonly #parameter = (number: number): string | undefined => {
    const bound = this.#work.parameters[number - 1];
    return bound && (bound.typeOid !== undefined || this.#query.parameters.get(number) === 1) ? parameterSql(bound) : undefined;
  };

  async #describe(side: Side, names: ReadonlyMap<string, TableName>): Promise<ReadonlyMap<string, MovedRelation>> {
    const found = [...names];
    if (found.length === 0) return new Map();
    const columns = readColumns(await this.#columnRows(side, columnsQuery(found.map(([, name]) => name), this.#query.groups)), found.length);
    const relations = new Map<string, MovedRelation>();
    for (const [index, [key, name]] of found.entries()) {
      const own = columns[index] ?? [];
      // The server says itself what is not there; a table without columns has nothing to bring either.
      if (own.length === 0) {
        await this.#ask(side, `SELECT FROM ${quoteTableName(name)} LIMIT 0`, this.#positionOf(key));
        throw refusal('A table without columns cannot be brought to the other side', `It is ${key}.`, 'Split the statement in two.');
      }
      relations.set(key, { key, name, columns: own });
    }
    return relations;
  }

  /** Semi-join: of many rows only those whose partners exist where the statement runs. */
  async #onlyLinked(plan: Plan): Promise<void> {
    const fetches: Fetch[] = [];
    for (const [index, fetch] of plan.fetches.entries()) {
      const condition = (plan.rows?.[index] ?? 0) > this.#core.services.limits.linkFromRows && fetch.uses.length === 1 ? await this.#linkCondition(plan.way, fetch, plan.rows?.[index] ?? 0) : undefined;
      fetches.push(condition === undefined ? fetch : { ...fetch, conditions: [...fetch.conditions, condition] });
    }
    plan.fetches = fetches;
  }

  async #linkCondition(way: HybridWay, fetch: Fetch, rows: number): Promise<string | undefined> {
    const [use] = fetch.uses;
    for (const [left, right] of use?.links ?? []) {
      for (const [own, theirs] of [[left, right], [right, left]] as const) {
        const column = use && ownColumn(own, use, this.#query, fetch.relation);
        const partner = this.#query.uses.find((other) => other !== use && other.level === use?.level && other.alias === theirs.qualifier);
        const placed = partner && this.#placed(partner.relation);
        if (!column || !partner || !placed || way.moved.has(placed.key)) continue;
        const condition = await this.#keysOf(way.runOn, partner, placed, theirs.name, column.name, rows);
        if (condition !== undefined) return condition;
      }
    }
    return undefined;
  }

  async #keysOf(side: Side, partner: RelationUse, placed: Placed, name: string, ownName: string, rows: number): Promise<string | undefined> {
    const relation = (await this.#describe(side, new Map([[placed.key, placed[side]]]))).get(placed.key);
    const column = relation?.columns.find((candidate) => candidate.name === name);
    if (!relation || !column) return undefined;
    const conditions = conditionsOf(partner, this.#query, relation, this.#parameter);
    // Without a condition of its own it is as large as it is.
    if (conditions.length === 0) return undefined;
    const key = `r.${quoteName(name)}`;
    const most = Math.min(MAX_KEYS, rows);
    const from = fromRows({ relation, only: partner.only, conditions: [...conditions, `${key} IS NOT NULL`] });
    const keys = await this.#ask(side, `SELECT pg_catalog.array_agg(k)::pg_catalog.text, count(*)::pg_catalog.text FROM (SELECT DISTINCT ${key} AS k ${from} LIMIT ${most + 1}) AS keys`);
    const [list, count] = keys.rows[0] ?? [];
    if (Number(count) > most) return undefined;
    return `r.${quoteName(ownName)} = ANY (${quoteLiteral(list ?? '{}')}::${column.type}[])`;
  }

  async #columnRows(side: Side, sql: string): Promise<InternalReply['rows']> {
    const { known } = this.#work;
    const trusted = this.#trusts ? known.get(side, sql) : undefined;
    const asked = this.#ask(side, sql).then(({ rows }) => {
      known.set(side, sql, rows);
      return rows;
    });
    if (!trusted) return asked;
    // An error of its own is nobody's answer: the work meets it, too.
    this.#checks.push(asked.then((rows) => JSON.stringify(rows) === JSON.stringify(trusted), () => true));
    return trusted;
  }

  async knewRight(): Promise<boolean> {
    return (await Promise.all(this.#checks)).every(Boolean);
  }

  /** Outside a block, where alone something is trusted. */
  async undo({ way, tables }: HybridReady): Promise<void> {
    if (tables.length > 0) await this.#ask(way.runOn, `DROP TABLE IF EXISTS ${tables.join(', ')}`);
  }

  // Bringing the rows

  get #isReadOnly(): boolean {
    const { tx, defaults } = this.#core;
    return tx?.modes.readOnly ?? defaults.readOnly;
  }

  async #brought({ way, fetches }: Plan, noTable: NoTable | undefined): Promise<HybridReady> {
    const core = this.#core;
    const { tx } = core;
    if (fetches.length === 0) return this.#ready(way, [], [], [], []);
    const needsKey = this.#query.groups && fetches.some(({ columns }) => columns.some(({ keyAt }) => keyAt !== undefined));
    const canInline = fetches.every(({ uses }) => uses.every((use) => isReplaceable(this.#query, this.#text.bytes, use.start))) && (!needsKey || noTable !== undefined);
    const names = fetches.map(() => this.#nextTable());
    const tables = names.map((name) => `pg_temp.${quoteName(name)}`);
    const make = fetches.map((fetch, index) => createTable(fetch, tables[index] ?? '', tx !== undefined, needsKey));
    const outcome = this.#work.isShape ? { type: 'collected', messages: Buffer.alloc(0), bytes: 0 } as const : await new Promise<Parameters<Parameters<typeof moveRows>[2]>[0]>((settle) => moveRows(core, {
      from: this.#sourceOf(way, fetches), to: this.#leg(way.runOn), copyOut: this.#exactly(copyRows(fetches.filter(({ relation }) => !relation.mysql), fetches)),
      copyIn: noTable ? undefined : this.#copyIn(fetches, tables, make),
      inlineBytes: canInline ? (noTable || this.#avoidsTable(way.runOn) ? INLINE_BYTES_WITHOUT_TABLE : core.services.limits.maxInlineBytes) : 0, maxBytes: core.services.limits.maxMovedBytes,
    }, settle));
    if ('bytes' in outcome) core.services.runtime.metrics.count('scratchbird_gateway_hybrid_bytes_total', { from: way.fromMysql.size > 0 ? 'mysql' : otherSide(way.runOn) }, outcome.bytes);
    switch (outcome.type) {
      case 'failed': throw serverRefusal(outcome.error);
      case 'too_large': throw this.#tooLarge(way.runOn, noTable);
      case 'collected': {
        if (canInline) return this.#ready(way, fetches, names, inlineRows(outcome.messages, fetches), []);
        if (noTable) throw refusal(noTableText(way.runOn, noTable), 'The statement uses ONLY, TABLE, * or the key of a grouped table with a relation whose rows have to be brought.', `Write SELECT * FROM in place of TABLE, leave ONLY out, or ${remedies[noTable]}.`);
        await this.#ask(way.runOn, make.join('; '));
        break;
      }
      case 'in_table': break;
      default: outcome satisfies never;
    }
    if (tx) tx.temporaryOn[way.runOn] = true;
    return this.#ready(way, fetches, names, undefined, tx ? [] : tables);
  }

  #sourceOf(way: HybridWay, fetches: readonly Fetch[]): RowSource {
    const isFromLeg = fetches.some(({ relation }) => !relation.mysql);
    const leg = isFromLeg ? this.#leg(otherSide(way.runOn)) : undefined;
    return leg && way.fromMysql.size === 0 ? leg : fetchedRows(this.#core, this.#work.snapshot, fetches, leg);
  }

  /** A block that may come to write on both sides needs one side that can be prepared, which one with temporary tables cannot. */
  #avoidsTable(side: Side): boolean {
    const { tx, temporaryTables } = this.#core;
    if (!tx || tx.temporaryOn[side]) return false;
    // Of local and the MySQL server local is the one.
    if (side === 'local' && tx.mysql.wrote) return true;
    const other = otherSide(side);
    return tx.temporaryOn[other] || [...temporaryTables.values()].includes(other) || this.#work.snapshot.twoPhase?.sides.includes(other) === false;
  }

  #exactly(copy: string): string {
    return this.#core.tx ? `SAVEPOINT causeway_rows; ${exactText}${copy}; ROLLBACK TO SAVEPOINT causeway_rows; RELEASE SAVEPOINT causeway_rows` : `${exactText}${copy}`;
  }

  #copyIn(fetches: readonly Fetch[], tables: readonly string[], make: readonly string[]): string {
    if (fetches.length === 1) return `${make.join('')}; COPY ${tables.join('')} FROM STDIN; ANALYZE ${tables.join('')}`;
    const all = `pg_temp.${quoteName(this.#nextTable())}`;
    const fill = fetches.map((fetch, index) => `${make[index] ?? ''}; ${fillTable(fetch, index, tables[index] ?? '', all)}; ANALYZE ${tables[index] ?? ''}`);
    return `${createTableOfAll(fetches, all)}; COPY ${all} FROM STDIN; ${fill.join('; ')}; DROP TABLE ${all}`;
  }

  #tooLarge(side: Side, noTable: NoTable | undefined): HybridRefusal {
    const { maxMovedBytes } = this.#core.services.limits;
    return noTable
      ? refusal(noTableText(side, noTable), `More than ${INLINE_BYTES_WITHOUT_TABLE} bytes of rows of the other side do not fit into a statement.`, `Narrow the conditions on the tables of the other side, split the statement in two, or ${remedies[noTable]}.`)
      : refusal('Too many rows would have to be brought to the other side', `The limit is ${maxMovedBytes} bytes.`, 'Narrow the conditions on the tables of the other side, split the statement in two, or raise limits.moved_bytes.');
  }

  #ready(way: HybridWay, fetches: readonly Fetch[], names: readonly string[], inline: readonly Buffer[] | undefined, tables: readonly string[]): HybridReady {
    const { services, searchPath, temporaryTables } = this.#core;
    const byStart = new Map<number, OtherName>();
    const byKey = new Map<string, OtherName>();
    for (const [index, fetch] of fetches.entries()) {
      const name: OtherName = { schema: 'pg_temp', name: names[index] ?? '', ...(inline?.[index] ? { text: inline[index] } : {}) };
      for (const use of fetch.uses) {
        byStart.set(use.start, name);
        // A column may be named by schema and table where the table has no other name.
        if (use.alias === use.relation.name) byKey.set(fetch.relation.key, name);
      }
    }
    const onLocal = (relation: RelationRef): OtherName | undefined => (way.runOn === 'local' ? services.routes.localName(relation, this.#work.snapshot, { searchPath, temporaryTables }) : undefined);
    const text = renameRelations(this.#work.text, this.#query.places, (relation, kind, start) => {
      if (kind === 'relation') return byStart.get(start) ?? onLocal(relation);
      const moved = kind === 'column' ? byKey.get(this.#placed(relation)?.key ?? '') : undefined;
      return moved ?? onLocal(relation);
    });
    const earlier = this.#text.edits.length === 0 ? undefined : this.#text;
    return { way, text: text ? { ...text, earlier } : this.#text, isInline: inline !== undefined, tables };
  }

  #leg(side: Side): Leg {
    const leg = this.#core.leg(side);
    if (!leg) throw new Error(`no leg to ${side}`);
    return leg;
  }

  /** In characters, from 1: where the text first names it. */
  #positionOf(key: string): number | undefined {
    const starts = this.#query.uses.filter(({ relation }) => this.#placed(relation)?.key === key).map(({ start }) => start);
    return starts.length === 0 || this.#text.edits.length > 0 ? undefined : [...this.#work.text.toString('utf8', 0, Math.min(...starts))].length + 1;
  }

  #ask(side: Side, sql: string, position?: number): Promise<InternalReply> {
    return askLeg(this.#core, this.#work, side, sql, position);
  }
}

function otherSide(side: Side): Side {
  return side === 'source' ? 'local' : 'source';
}
