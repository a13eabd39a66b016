/**
 * COPY … TO in binary from local: arrays and composites name the types inside by local's numbers, and no message says where in the data they stand. So what
 * has any of an own type is refused; which columns these are local is asked. What COPY … FROM reads is checked by the server itself.
 */
import { quoteLiteral, quoteTableName } from '../../grammar/names.ts';
import type { TextFacts } from '../../grammar/sql/statement-facts.ts';
import type { Route } from '../route/route.ts';
import type { Verdict } from '../wire/framing.ts';
import type { SessionCore } from './session-core.ts';
import type { TextTraits } from './text-traits.ts';

const FIRST_OWN = 16_384;

export class BinaryCopies {
  readonly #core: SessionCore;
  /** Of the message that has waited for it. */
  #answer: { readonly facts: TextFacts; readonly columns: readonly string[] } | undefined;

  constructor(core: SessionCore) {
    this.#core = core;
  }

  /** Undefined for what may run as it is routed. A verdict: wait with it. */
  refused({ facts, single }: TextTraits, route: Route): Route | Verdict | undefined {
    const core = this.#core;
    if (single?.binaryCopy === undefined || route.type !== 'leg' || route.leg !== 'local') return undefined;
    const answer = this.#answer;
    this.#answer = undefined;
    if (answer?.facts === facts) return answer.columns.length === 0 ? undefined : ofOwnTypes(answer.columns);
    const { local } = core;
    // The route's own wait for it comes first: then it is asked.
    if (!local || (core.carried && !local.acquire())) return undefined;
    const stop = core.leaveLeg(false);
    if (stop !== undefined) return stop;
    const { services, searchPath, temporaryTables } = core;
    const names = single.reads.flatMap((relation) => {
      const placed = services.routes.placed(relation, services.view().snapshot, { searchPath, temporaryTables });
      return placed ? [quoteTableName(placed.local)] : [];
    });
    core.ask(local, columnsSql(names, single.binaryCopy.columns), ({ rows }) => {
      this.#answer = { facts, columns: rows.map(([column]) => column ?? '') };
      core.proceed('state');
    });
    return core.wait('state');
  }
}

function ofOwnTypes(columns: readonly string[]): Route {
  return {
    type: 'refuse', code: 'MIG080', message: 'COPY in binary cannot give arrays or composites of own types from local',
    detail: `The numbers of types inside would be local's, and the client knows the source's: ${columns.join(', ')}.`,
    hint: 'Copy as text or csv, or leave these columns out; a SELECT with binary results is right.',
  };
}

/** Arrays whose elements, and composites any of whose fields, are of own types; a domain is what it is over. */
function columnsSql(names: readonly string[], columns: readonly string[] | undefined): string {
  const named = columns === undefined ? '' : ` AND a.attname IN (${columns.map(quoteLiteral).join(', ')})`;
  return `WITH RECURSIVE held(relation, name, type) AS (SELECT a.attrelid, a.attname, a.atttypid FROM pg_catalog.pg_attribute a
      WHERE a.attrelid IN (${names.map((name) => `pg_catalog.to_regclass(${quoteLiteral(name)})`).join(', ') || 'NULL'}) AND a.attnum > 0 AND NOT a.attisdropped${named}
      UNION ALL SELECT held.relation, held.name, d.typbasetype FROM held JOIN pg_catalog.pg_type d ON d.oid = held.type WHERE d.typtype = 'd')
    SELECT DISTINCT pg_catalog.quote_ident(held.name) FROM held JOIN pg_catalog.pg_type t ON t.oid = held.type
    WHERE (t.typelem >= ${FIRST_OWN} AND EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid))
      OR EXISTS (SELECT FROM pg_catalog.pg_attribute f WHERE f.attrelid = t.typrelid AND t.typrelid <> 0 AND f.attnum > 0 AND NOT f.attisdropped AND f.atttypid >= ${FIRST_OWN}) ORDER BY 1`;
}
