/**
 * Rows of MySQL tables for a statement that runs on another side: read there with the conditions that the translation takes, given out as a COPY gives
 * them. Rows of the other side that the statement needs as well come first, over their leg.
 */
import { quoteName } from '../../../grammar/names.ts';
import type { MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import { bindText } from '../../../grammar/dialect/mysql/bind-step.ts';
import type { Plan } from '../../../grammar/dialect/mysql/translation.ts';
import type { InternalReply } from '../../execute/segment.ts';
import type { RoutingSnapshot } from '../../../catalog/routing-snapshot.ts';
import { writeError } from '../../wire/error-fields.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import { PayloadReader } from '../../wire/mysql/payload.ts';
import { errorFieldsOf } from '../client-error.ts';
import { selectRows } from '../hybrid/fetch-plan.ts';
import type { Fetch, MovedColumn, MovedRelation } from '../hybrid/fetch-plan.ts';
import { HybridRefusal, refusal } from '../hybrid/hybrid-work.ts';
import type { RowSource } from '../hybrid/moved-rows.ts';
import type { SessionCore } from '../session-core.ts';
import { whenWhole } from './cut-results.ts';
import { beginMysqlBlock } from './mysql-block.ts';
import { errorOfMysql } from './mysql-errors.ts';
import type { MysqlSide } from './mysql-side.ts';
import { statementTimes } from './statement-times.ts';
import { columnReader } from './value-readers.ts';
import type { ReadValue } from './value-readers.ts';

const CHUNK_BYTES = 32 * 1024;

/** As local has the table: its types and collations are what the statement means. */
export function mysqlRelation(key: string, name: MovedRelation['name'], table: MigratedTable): MovedRelation {
  const columns = table.columns.map((column): MovedColumn => {
    const place = table.primaryKey.indexOf(column.name);
    const { localCollation } = column;
    return {
      name: column.name, type: column.type, collation: localCollation && `${quoteName(localCollation.schema)}.${quoteName(localCollation.name)}`, isCollated: /^(?:text|character)/.test(column.type),
      isOwnType: column.mysqlType === 'enum' && !/^(?:text|character)/.test(column.type), keyAt: place < 0 ? undefined : place,
    };
  });
  return { key, name, columns, mysql: table };
}

/** What local made after a type or a collation of MySQL the source does not have; without it the statement would mean something else. */
export function refuseOwnTypes(fetches: readonly Fetch[]): void {
  for (const { relation, columns } of fetches) {
    const own = relation.mysql && columns.find(({ isOwnType, collation }) => isOwnType || (collation !== undefined && !collation.startsWith('"pg_catalog".')));
    if (own) throw refusal('A column of a MySQL table has a type or a collation that only local has', `It is ${own.name} of ${relation.key}, and the statement runs on the source.`, 'Leave the column out, or split the statement in two.');
  }
}

interface PlannedFetch {
  readonly sql: string;
  readonly readers: readonly ReadValue[];
  /** Stands before each row where there are several fetches. */
  readonly number: number | undefined;
}

/** `fetches`: all of the statement, those of MySQL last. Throws a HybridRefusal. */
export function fetchedRows(core: SessionCore, snapshot: RoutingSnapshot, fetches: readonly Fetch[], before: RowSource | undefined): RowSource {
  const planned = fetches.flatMap((fetch, index) => (fetch.relation.mysql ? [planFetch(core, snapshot, fetch, fetch.relation.mysql, fetches.length > 1 ? index : undefined)] : []));
  const { mysql } = core;
  if (!mysql) throw new Error('a session without a MySQL server');
  const keys = [...new Set(fetches.filter(({ relation }) => relation.mysql).map(({ relation }) => relation.key))];
  return new FetchedRows(core, mysql, planned, { touches: keys, writes: false }, snapshot, before);
}

function planFetch(core: SessionCore, snapshot: RoutingSnapshot, fetch: Fetch, table: MigratedTable, number: number | undefined): PlannedFetch {
  const { mysql: services } = core.services;
  const { capabilities } = core.mysql ?? {};
  if (!services || !capabilities) throw new Error('a session without a MySQL server');
  const translate = (conditions: readonly string[]): string | undefined => {
    const plan = services.translations.get({
      text: selectRows({ ...fetch, only: false, conditions }), tables: new Map([[fetch.relation.key, table]]), snapshot, searchPath: [], timeZone: 'UTC', parameterTypes: [], capabilities,
    });
    return plan.type === 'plan' ? textOf(plan, core) : undefined;
  };
  // The statement itself tests every condition again: those that are not understood there are left out.
  const sql = translate(fetch.conditions) ?? translate(fetch.conditions.filter((condition) => translate([condition]) !== undefined)) ?? translate([]);
  if (sql === undefined) throw refusal('Rows of a MySQL table cannot be read as local has them', `It is ${fetch.relation.key}.`, 'Cut the table over (CUTOVER TABLE), or read it by the MySQL protocol.');
  const readers = fetch.columns.map(({ name }) => readerFor(table, name));
  return { sql, readers, number };
}

function textOf(plan: Plan, core: SessionCore): string | undefined {
  const [step] = plan.steps;
  const bound = step && bindText(step, { parameters: [], rows: [], ...statementTimes(core.services.runtime.clock.now(), undefined, 'UTC') });
  return bound?.type === 'text' ? bound.sql : undefined;
}

function readerFor(table: MigratedTable, name: string): ReadValue {
  const column = table.columns.find((each) => each.name === name);
  const reader = column && columnReader(column);
  if (!reader) throw refusal(`Values of column ${name} of ${table.mysql.database}.${table.mysql.name} cannot be brought to local`, `Its type on local is ${column?.type ?? ''}.`, 'Leave the column out, or cut the table over (CUTOVER TABLE).');
  return reader;
}

class FetchedRows implements RowSource {
  readonly #core: SessionCore;
  readonly #side: MysqlSide;
  readonly #fetches: readonly PlannedFetch[];
  readonly #route: { readonly touches: readonly string[]; readonly writes: false };
  readonly #snapshot: RoutingSnapshot;
  readonly #before: RowSource | undefined;
  #isBefore = false;
  #isCanceled = false;
  #isHeld = false;
  readonly #afterRelease: (() => void)[] = [];
  #out = Buffer.allocUnsafe(CHUNK_BYTES);
  #at = 0;

  constructor(core: SessionCore, side: MysqlSide, fetches: readonly PlannedFetch[], route: { readonly touches: readonly string[]; readonly writes: false }, snapshot: RoutingSnapshot, before: RowSource | undefined) {
    this.#core = core;
    this.#side = side;
    this.#fetches = fetches;
    this.#route = route;
    this.#snapshot = snapshot;
    this.#before = before;
  }

  askCopy(sql: string, nowMs: number, taker: { readonly copyOut?: (messages: Buffer) => void }, done: (reply: InternalReply) => void): void {
    const take = taker.copyOut ?? ((): void => undefined);
    if (!this.#before) return this.#fetchAll(take, done);
    this.#isBefore = true;
    this.#before.askCopy(sql, nowMs, taker, (reply) => {
      this.#isBefore = false;
      if (reply.error || this.#isCanceled) done(reply);
      else this.#fetchAll(take, done);
    });
  }

  hold(): void {
    if (this.#isBefore) this.#before?.hold();
    else {
      this.#isHeld = true;
      this.#side.hold('portal');
    }
  }

  release(): void {
    if (this.#isBefore) this.#before?.release();
    else {
      this.#isHeld = false;
      this.#side.release('portal');
      this.#afterRelease.splice(0).forEach((next) => next());
    }
  }

  /** The last rows may be the ones that have made it hold: nothing goes on behind them before they are taken. */
  #whenReleased(next: () => void): void {
    if (this.#isHeld) this.#afterRelease.push(next);
    else next();
  }

  cancel(canceled: () => void): void {
    this.#isCanceled = true;
    if (!this.#isBefore) this.#side.cancel(canceled);
    else if (this.#before) this.#before.cancel(canceled);
    else canceled();
  }

  /** In the client's block when there is one; else each fetch sees the moment that it is read in, as statements outside a block do. */
  #fetchAll(take: (messages: Buffer) => void, done: (reply: InternalReply) => void): void {
    const core = this.#core;
    const unit = { touches: this.#route.touches, epoch: this.#snapshot.epoch };
    this.#side.units.add(unit);
    core.tx?.runsOnMysql(this.#route, this.#snapshot);
    const ended = (fields: ErrorFields | undefined): void => {
      this.#side.units.delete(unit);
      done({ rows: [], tag: 'COPY', error: fields && writeError(fields), notices: [] });
      core.unitEnded();
    };
    const next = (index: number): void => {
      const fetch = this.#fetches[index];
      if (!fetch) return ended(undefined);
      let failure: ErrorFields | undefined;
      this.#side.query(fetch.sql, (payload) => {
        if (failure) return;
        try {
          this.#row(fetch, payload, take);
        } catch (error) {
          failure = error instanceof HybridRefusal ? error.fields : errorFieldsOf(error);
          this.#side.cancel(() => undefined);
        }
      }, (outcome) => {
        this.#flush(take);
        this.#whenReleased(() => {
          if (failure) ended(failure);
          else if (!outcome.ok) ended(errorOfMysql(outcome.error, () => undefined));
          else whenWhole(this.#side, fetch.sql, outcome, (error) => (error ? ended(error) : next(index + 1)));
        });
      });
    };
    const begin = (error: ErrorFields | undefined): void => (error ? ended(error) : next(0));
    if (core.tx) beginMysqlBlock(core, this.#side, core.tx, begin);
    else begin(undefined);
  }

  /** As a CopyData message in text format. */
  #row({ readers, number }: PlannedFetch, payload: Buffer, take: (messages: Buffer) => void): void {
    const reader = new PayloadReader(payload);
    const texts = number === undefined ? [] : [String(number)];
    for (const read of readers) {
      const value = reader.text();
      const text = value === undefined ? null : read(value, 0, value.length);
      texts.push(text === null ? '\\N' : escaped(text));
    }
    const line = `${texts.join('\t')}\n`;
    const length = Buffer.byteLength(line);
    if (this.#at + length + 5 > this.#out.length) {
      this.#flush(take);
      if (length + 5 > this.#out.length) this.#out = Buffer.allocUnsafe(length + 5);
    }
    this.#out[this.#at] = 0x64;
    this.#out.writeInt32BE(length + 4, this.#at + 1);
    this.#out.write(line, this.#at + 5, 'utf8');
    this.#at += length + 5;
  }

  #flush(take: (messages: Buffer) => void): void {
    if (this.#at === 0) return;
    take(this.#out.subarray(0, this.#at));
    this.#at = 0;
  }
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

function escaped(text: string): string {
  return /[\\\t\n\r]/.test(text) ? text.replace(/[\\\t\n\r]/g, (character) => escapes[character] ?? character) : text;
}
