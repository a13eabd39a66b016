/** Which statements' rows can be had, and whether the session's settings and rights let them be. */
import type { QualifiedName } from '../../../catalog/routing-snapshot.ts';
import { quoteLiteral } from '../../../grammar/names.ts';
import type { Route } from '../../route/route.ts';
import type { Verdict } from '../../wire/framing.ts';
import type { SessionCore } from '../session-core.ts';
import type { TextTraits } from '../text-traits.ts';
import type { ImagesOf } from './image-reader.ts';

export interface CapturedTable extends ImagesOf {
  readonly source: QualifiedName;
  /** What the statement calls it. */
  readonly relation: string;
}

/**
 * The table that a statement writes, when its rows tell all that local has to have: one table, nothing called that cannot be seen into, no key
 * changed (a row tells where it is, not where it was).
 */
export function capturedTable(core: SessionCore, traits: TextTraits, route: Route): CapturedTable | undefined {
  const { single } = traits;
  if (route.type !== 'leg' || route.leg !== 'source' || route.after !== 'xid' || single?.target === undefined) return undefined;
  const { snapshot, marksRows } = core.services.view();
  if (!marksRows || !core.services.markedRows || core.tx?.images?.isLost === true) return undefined;
  const [written] = single.writes;
  if (single.flags.writesInCte || single.flags.sessionEffect || single.flags.advisoryLock || single.writes.length !== 1 || !written) return undefined;
  const key = core.services.routes.placed(written, snapshot, core)?.key;
  const found = key === undefined ? undefined : snapshot.tables[key];
  const { relation, assigns } = single.target;
  if (!found?.markable || assigns.some((name) => found.markable?.key.includes(name))) return undefined;
  const hasReturning = single.flags.returning;
  return { tableId: found.tableId, table: found.markable, source: found.source, isDelete: single.kind === 'delete', relation, hasReturning, tellsMore: hasReturning && single.reads.length > 0 };
}

/** No floating-point number is in them; of other types that is not known. */
const exactTypes = /^(smallint|integer|bigint|numeric|text|character|boolean|date|time|timestamp|interval|uuid|jsonb?|bytea|inet|cidr|bit|oid)\b/;

/**
 * What has to be so for a row to be told, and to be told so that local reads it as it is. Without the right to SELECT, and under row-level security,
 * RETURNING fails; rows of children are another table's; what triggers and rules make of a row only the stream tells.
 */
function conditionSql({ source: { schema, name }, table }: CapturedTable): string {
  const digits = table.columns.every(({ type }) => exactTypes.test(type)) ? 0 : "CASE WHEN pg_catalog.current_setting('server_version_num')::int < 120000 THEN 3 ELSE 1 END";
  return `SELECT pg_catalog.has_table_privilege(c.oid, 'SELECT') AND c.relkind = 'r' AND NOT c.relrowsecurity AND NOT c.relhassubclass AND NOT c.relhasrules
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D')
    AND pg_catalog.current_setting('client_encoding') = 'UTF8' AND pg_catalog.current_setting('standard_conforming_strings') = 'on'
    AND pg_catalog.current_setting('DateStyle') LIKE 'ISO%' AND pg_catalog.current_setting('IntervalStyle') = 'postgres'
    AND (${digits} = 0 OR pg_catalog.current_setting('extra_float_digits')::int >= ${digits})
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ${quoteLiteral(schema)} AND c.relname = ${quoteLiteral(name)}`;
}

/** What a session has learnt of its tables; asked again when its settings or its role may have changed. */
export class CaptureConditions {
  readonly #core: SessionCore;
  readonly #known = new Map<string, boolean>();
  #stateVersion = 0;
  #epoch = 0;

  constructor(core: SessionCore) {
    this.#core = core;
  }

  /** A verdict: wait with it. */
  holdFor(of: CapturedTable): boolean | Verdict {
    const { tableId } = of;
    const core = this.#core;
    const { epoch } = core.services.view().snapshot;
    if (this.#stateVersion !== core.stateVersion || this.#epoch !== epoch) this.#known.clear();
    this.#stateVersion = core.stateVersion;
    this.#epoch = epoch;
    const known = this.#known.get(tableId);
    if (known !== undefined) return known;
    const stop = core.leaveLeg(false);
    if (stop !== undefined) return stop;
    // Of a pool any will do: the session's role and settings come with it.
    if (core.lacksConnection) return core.wait('leg');
    // Deferred: an answer at once must not find the session before it waits.
    queueMicrotask(() => core.ended || core.ask(core.home, conditionSql(of), (reply) => {
      this.#known.set(tableId, reply.rows[0]?.[0] === 't');
      core.proceed('state');
    }));
    return core.wait('state');
  }
}
