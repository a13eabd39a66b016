/**
 * Statements about indexes and extended statistics name no table, and the snapshot has none of them: those of tables that local owns are on local alone, or by
 * the same name on the source as well, where the statement would change what is left of the table there. So local is asked which it has.
 */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { quoteLiteral, quoteTableName } from '../../grammar/names.ts';
import type { RelationRef, TextFacts } from '../../grammar/sql/statement-facts.ts';
import type { Route } from '../route/route.ts';
import type { Verdict } from '../wire/framing.ts';
import type { LocalLeg } from './local-leg.ts';
import type { SessionCore } from './session-core.ts';
import { traitsOf } from './text-traits.ts';
import type { TextTraits } from './text-traits.ts';

const COMMANDS: ReadonlySet<string | undefined> = new Set(['DROP INDEX', 'ALTER INDEX', 'REINDEX', 'COMMENT ON INDEX', 'DROP STATISTICS', 'ALTER STATISTICS', 'COMMENT ON STATISTICS']);

/** Not known to be the source's, and not to be done there instead. */
const localAway: Route = {
  type: 'refuse', code: 'MIG001', message: 'local cannot be reached', detail: 'Whether it has this index or these statistics is not known.', hint: 'Check the local server, and run the statement again.',
};

export class IndexOwners {
  readonly #core: SessionCore;
  readonly #localLeg: LocalLeg;
  /** Of the message that has waited for it. */
  #answer: { readonly facts: TextFacts; readonly traits: TextTraits } | undefined;

  constructor(core: SessionCore, localLeg: LocalLeg) {
    this.#core = core;
    this.#localLeg = localLeg;
  }

  /** The traits with the tables of local's indexes in their place; a verdict: wait with it. */
  named(traits: TextTraits): TextTraits | Verdict | Route {
    const { facts, single } = traits;
    const core = this.#core;
    if (single === undefined || !COMMANDS.has(single.command) || single.ddl.length === 0 || !core.services.view().usesLocal) return traits;
    const answer = this.#answer;
    this.#answer = undefined;
    if (answer?.facts === facts) return answer.traits;
    if (this.#localLeg.down) return single.command === 'REINDEX' ? traits : localAway;
    const stop = core.leaveLeg(false);
    if (stop !== undefined) return stop;
    if (!core.local) this.#localLeg.openInBackground();
    if (!core.local || (core.carried && !core.local.acquire())) return core.wait('leg');
    const isStatistics = single.command?.endsWith('STATISTICS') === true;
    const places = single.ddl.flatMap((relation, at) => this.#placesOf(relation).map((place) => ({ at, place })));
    core.ask(core.local, (isStatistics ? ofStatistics : ofIndexes)(places.map(({ place }) => place)), ({ rows }) => {
      const owners = new Map<number, RelationRef>();
      for (const [place, schema, name] of rows) {
        const at = places[Number(place) - 1]?.at;
        if (at !== undefined && !owners.has(at) && typeof schema === 'string' && typeof name === 'string' && this.#isOwned(schema, name)) owners.set(at, { schema, name });
      }
      // Statistics may have the name of a table that has nothing to do with them.
      const ddl = isStatistics && owners.size === 0 ? [] : single.ddl.map((relation, at) => owners.get(at) ?? relation);
      this.#answer = { facts, traits: owners.size === 0 && !isStatistics ? traits : traitsOf({ type: 'sql', statements: [{ ...single, ddl }] }) };
      core.proceed('state');
    });
    return core.wait('state');
  }

  /** Where the name may lead, first things first: the leg need not have the session's path yet. */
  #placesOf({ schema, name }: RelationRef): readonly QualifiedName[] {
    return schema !== undefined ? [{ schema, name }] : this.#core.searchPath.map((each) => ({ schema: each, name }));
  }

  #isOwned(schema: string, name: string): boolean {
    return Object.values(this.#core.services.view().snapshot.tables).some(({ local, writes }) => writes === 'local' && local.schema === schema && local.name === name);
  }
}

function ofIndexes(places: readonly QualifiedName[]): string {
  return `SELECT place.at, n.nspname, t.relname FROM pg_catalog.unnest(ARRAY[${places.map((place) => quoteLiteral(quoteTableName(place))).join(', ')}]::pg_catalog.text[]) WITH ORDINALITY AS place(name, at)
    JOIN pg_catalog.pg_index i ON i.indexrelid = pg_catalog.to_regclass(place.name) JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace ORDER BY place.at`;
}

function ofStatistics(places: readonly QualifiedName[]): string {
  const values = places.map(({ schema, name }, index) => `(${index + 1}, ${quoteLiteral(schema)}, ${quoteLiteral(name)})`);
  return `SELECT place.at, n.nspname, t.relname FROM (VALUES ${values.join(', ')}) AS place(at, schema, name)
    JOIN pg_catalog.pg_namespace o ON o.nspname = place.schema JOIN pg_catalog.pg_statistic_ext s ON s.stxnamespace = o.oid AND s.stxname = place.name
    JOIN pg_catalog.pg_class t ON t.oid = s.stxrelid JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace ORDER BY place.at`;
}
