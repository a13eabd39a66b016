/** A statement that would be refused because of its sides, when the truth is that a table of it is nowhere: a name that nobody knows counts as the source's. */
import { relationKey } from '../../catalog/routing-snapshot.ts';
import { quoteLiteral, quoteTableName } from '../../grammar/names.ts';
import type { TextFacts } from '../../grammar/sql/statement-facts.ts';
import type { Verdict } from '../wire/framing.ts';
import type { SessionCore } from './session-core.ts';
import type { TextTraits } from './text-traits.ts';

export class MissingTables {
  readonly #core: SessionCore;
  /** Of the message that has waited for it. */
  #answer: { readonly facts: TextFacts; readonly isMissing: boolean } | undefined;

  constructor(core: SessionCore) {
    this.#core = core;
  }

  /** Whether the source lacks one of them, so that it says what is wrong whatever else is; a verdict: wait with it. */
  among({ facts, single }: TextTraits): boolean | Verdict {
    const answer = this.#answer;
    this.#answer = undefined;
    if (answer?.facts === facts) return answer.isMissing;
    const names = single ? this.#unknown([...single.reads, ...single.writes]) : [];
    if (names.length === 0) return false;
    const core = this.#core;
    const stop = core.leaveLeg(false);
    if (stop !== undefined) return stop;
    const list = names.map((name) => `pg_catalog.to_regclass(${quoteLiteral(name)}) IS NULL`);
    core.ask(core.home, `SELECT (${list.join(' OR ')})::pg_catalog.text`, ({ rows }) => {
      this.#answer = { facts, isMissing: rows[0]?.[0] === 'true' };
      core.proceed('state');
    });
    return core.wait('state');
  }

  #unknown(relations: TextTraits['statements'][number]['reads']): readonly string[] {
    const { services, searchPath, temporaryTables } = this.#core;
    const { snapshot } = services.view();
    return relations.flatMap((relation) => {
      const placed = services.routes.placed(relation, snapshot, { searchPath, temporaryTables });
      const isKnown = placed === undefined || placed.key.startsWith(relationKey('pg_temp', '')) || Object.hasOwn(snapshot.tables, placed.key) || Object.hasOwn(snapshot.views, placed.key);
      return isKnown ? [] : [quoteTableName(relation)];
    });
  }
}
