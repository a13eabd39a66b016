/**
 * A statement over tables of both sides: rows of what one side lacks are brought there, and it runs there as it is, but for the names
 * (specification §3.5, DESIGN §4). Everything before its run happens while the client's message waits to be handled.
 *
 * States of the work for one message: under way → ready or failed; dropped with the message. When the route has changed meanwhile, it
 * starts anew.
 */
import type { Side } from '../../../catalog/routing-snapshot.ts';
import type { Verdict } from '../../wire/framing.ts';
import type { BoundParameter } from '../../wire/bind-parameters.ts';
import { prepareOf } from '../sql-prepared.ts';
import { executedBy, traitsOf } from '../text-traits.ts';
import type { TextTraits } from '../text-traits.ts';
import { canceledByUser, errorFieldsOf } from '../client-error.ts';
import type { PlaceStatement } from '../place-statement.ts';
import type { CommitWait } from '../commit-wait.ts';
import type { SessionCore } from '../session-core.ts';
import { MysqlStatements } from '../mysql-tables/mysql-statements.ts';
import { bringRows } from './bring-rows.ts';
import { TemporaryTables } from './choose-way.ts';
import { KnownColumns } from './describe-relations.ts';
import { HybridRefusal } from './hybrid-work.ts';
import type { HybridReady, HybridRoute, HybridWork } from './hybrid-work.ts';

interface Current {
  readonly work: HybridWork;
  readonly signature: string;
  outcome: HybridReady | HybridRefusal | undefined;
}

export interface HybridRequest {
  /** A view of the client's. */
  readonly text: Buffer;
  readonly simple: boolean;
  readonly parameters?: readonly BoundParameter[] | undefined;
  readonly isShape?: boolean;
  /** When `text` is a PREPARE: what runs the statement of this name, the text of an EXECUTE, or undefined for a Bind. */
  readonly runs?: { readonly name: string; readonly text: Buffer | undefined };
}

/** Of a text by itself, or of the PREPARE that it runs. Undefined when the text of that is not known. */
export function requestOf(core: SessionCore, traits: TextTraits, text: Buffer): Pick<HybridRequest, 'text' | 'runs' | 'isShape'> | undefined {
  const name = executedBy(traits.single);
  if (name === undefined) return { text, isShape: traits.single?.kind === 'prepare' };
  const statement = core.statements.get(name);
  const prepare = statement && prepareOf(statement);
  return prepare ? { text: Buffer.from(prepare), runs: { name, text } } : undefined;
}

export class HybridStatements {
  readonly #core: SessionCore;
  readonly #place: PlaceStatement;
  readonly mysql: MysqlStatements;
  #current: Current | undefined;
  readonly #temporary: TemporaryTables;
  readonly #known: KnownColumns;
  #tables = 0;
  #leftOver: { readonly runOn: Side; readonly tables: readonly string[] } | undefined;

  constructor(core: SessionCore, place: PlaceStatement, commitWait: CommitWait) {
    this.#core = core;
    this.#place = place;
    this.mysql = new MysqlStatements(core, commitWait);
    this.#temporary = new TemporaryTables(core);
    this.#known = new KnownColumns(core);
  }

  /** A verdict: return it, and come again with the same message. */
  prepare(route: HybridRoute, { text, simple, parameters = [], isShape = false, runs }: HybridRequest): HybridReady | Verdict {
    const core = this.#core;
    const snapshot = core.decidedUnder ?? core.services.view().snapshot;
    // What becomes of a view's tables is decided while the rows are brought.
    const signature = JSON.stringify([route.views.size > 0 ? snapshot.epoch : 0, route.ways.map(({ runOn, moved }) => [runOn, [...moved].sort()])]);
    const current = this.#current;
    if (current?.signature === signature && current.outcome !== undefined) {
      return current.outcome instanceof HybridRefusal ? core.refuseWith(current.outcome.fields, simple) : current.outcome;
    }
    if (current) this.#discard(current);
    const stop = core.leaveLeg(simple) ?? this.#legsReady(route, simple);
    if (stop !== undefined) return stop;
    const beyond = route.ways.flatMap(({ fromMysql }) => [...fromMysql]);
    const facts = beyond.length === 0 ? undefined : this.mysql.tables(beyond, simple);
    if (typeof facts === 'number') return facts;
    const work: HybridWork = {
      route, text: Buffer.from(text), snapshot, temporary: this.#temporary, known: this.#known, parameters, isShape, canceled: false,
      byName: runs && { name: runs.name, text: runs.text && Buffer.from(runs.text), newName: (side) => core.ownStatements.parsedOn(side) },
      routeOf: (facts) => this.#place.routeOfRewritten(runs ? (traitsOf(facts).inner ?? traitsOf(facts)) : traitsOf(facts)),
    };
    this.#start({ work, signature, outcome: undefined });
    return core.wait('rows');
  }

  /** The statement has been sent to its leg. */
  sent({ way, tables, isInline }: HybridReady): void {
    const core = this.#core;
    core.services.runtime.metrics.count('scratchbird_gateway_hybrid_statements_total', { runs_on: way.runOn, rows: isInline ? 'inline' : 'table' });
    if (way.runOn === 'local') core.sourceSeen = true;
    if (tables.length === 0 || core.tx) return;
    this.#leftOver = { runOn: way.runOn, tables };
    // Nothing of the client's may run between the statement and the end of its tables.
    core.exclusive = true;
  }

  /** Every answer is complete. */
  settled(): void {
    const left = this.#leftOver;
    if (left) {
      this.#leftOver = undefined;
      this.#drop(left.runOn, left.tables);
    }
  }

  /** The message that was waited for is over. */
  consumed(): void {
    this.#current = undefined;
  }

  cancel(): void {
    if (this.#current) this.#current.work.canceled = true;
  }

  nextTable(): string {
    this.#tables += 1;
    return `causeway_${this.#tables}`;
  }

  #legsReady(route: HybridRoute, simple: boolean): Verdict | undefined {
    for (const side of ['source', 'local'] as const) {
      const own = route.ways.find(({ runOn }) => runOn === side)?.route;
      const isNeeded = own !== undefined || route.views.size > 0 || route.ways.some(({ moved, fromMysql }) => moved.size > fromMysql.size);
      if (!isNeeded) continue;
      // Of a view's tables some may be read where they follow.
      const before = route.views.size > 0 && side === 'local' ? 'read_index' : 'none';
      const placement = this.#place.place(own ?? { type: 'leg', leg: side, writes: false, touches: [], after: 'none', before, label: 'HYBRID' }, simple, true);
      if (placement.verdict !== undefined) return placement.verdict;
    }
    return undefined;
  }

  #start(current: Current): void {
    this.#current = current;
    const core = this.#core;
    const startedAtMs = core.now();
    const settle = (outcome: HybridReady | HybridRefusal): void => {
      current.outcome = outcome;
      core.services.runtime.metrics.observe('scratchbird_gateway_hybrid_seconds', {}, (core.now() - startedAtMs) / 1000);
      if (current === this.#current) core.proceed('rows');
      else this.#discard(current);
    };
    bringRows(core, current.work, () => this.nextTable()).then(
      (ready) => settle(current.work.canceled ? new HybridRefusal(canceledByUser) : ready),
      (error: unknown) => settle(error instanceof HybridRefusal ? error : new HybridRefusal(errorFieldsOf(error))),
    );
  }

  #discard({ outcome }: Current): void {
    this.#current = undefined;
    if (outcome && !(outcome instanceof HybridRefusal) && outcome.tables.length > 0 && !this.#core.tx) this.#drop(outcome.way.runOn, outcome.tables);
  }

  #drop(runOn: Side, tables: readonly string[]): void {
    const leg = this.#core.leg(runOn);
    if (leg && !leg.closed) this.#core.ask(leg, `DROP TABLE IF EXISTS ${tables.join(', ')}`, () => undefined);
  }
}
