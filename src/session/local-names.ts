/** A statement that goes to local names its tables as local knows them: those that have another name or schema there (`target_table`, `target_schema`). */
import type { NamePlace } from '../../grammar/sql/name-places.ts';
import { renameRelations } from '../../grammar/sql/rename-relations.ts';
import type { RenamedText } from '../../grammar/sql/rename-relations.ts';
import type { RelationRef, StatementFacts } from '../../grammar/sql/statement-facts.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Verdict } from '../wire/framing.ts';
import { textForLocal } from './catalog-numbers.ts';
import type { Leg } from './leg.ts';
import type { SessionCore } from './session-core.ts';
import type { TextTraits } from './text-traits.ts';

export class LocalNames {
  readonly #core: SessionCore;
  /** Places of texts that took time to read, until the message that has them is consumed. */
  readonly #late = new Map<TextTraits, readonly NamePlace[] | undefined>();

  constructor(core: SessionCore) {
    this.#core = core;
  }

  /** Whether a text for this leg has to be looked at: asked before one is taken out of its message. */
  isFor(leg: Leg, traits: TextTraits): boolean {
    return leg.side === 'local' && (this.#core.services.view().renames || traits.single?.catalog !== undefined);
  }

  /** Something that it names has another name on local. */
  isRenamed(traits: TextTraits): boolean {
    return this.#core.services.view().renames && traits.statements.some((statement) => this.#concerns(statement));
  }

  /** The text that this leg is to get in place of `bytes`, which are a view of the client's; undefined when it gets them as they are. A verdict: wait with it. */
  textFor(leg: Leg, traits: TextTraits, bytes: Buffer, simple: boolean): RenamedText | Verdict | undefined {
    const core = this.#core;
    if (!this.isFor(leg, traits)) return undefined;
    const numbered = textForLocal(traits, bytes);
    if (numbered || !this.isRenamed(traits)) return numbered;
    const places = this.#placesOf(traits, bytes);
    if (places === 'later') return core.wait('facts');
    if (!places) return core.refuse(new MigrationError('MIG088', undefined, { detail: 'The names of its tables have to be replaced for local, for which it could not be read as a whole.' }), simple);
    return renameRelations(bytes, places, (relation) => this.#nameOf(relation));
  }

  consumed(): void {
    if (this.#late.size > 0) this.#late.clear();
  }

  #placesOf(traits: TextTraits, bytes: Buffer): readonly NamePlace[] | undefined | 'later' {
    if (this.#late.has(traits)) return this.#late.get(traits);
    const places = this.#core.services.facts.places(bytes.toString('utf8'));
    if (!(places instanceof Promise)) return places;
    void places.then((read) => {
      this.#late.set(traits, read);
      this.#core.proceed('facts');
    });
    return 'later';
  }

  #concerns(statement: StatementFacts): boolean {
    if (statement.flags.literalSensitive) return true;
    const lists = [statement.reads, statement.writes, statement.sequencesRead, statement.sequencesWritten];
    return lists.some((list) => list.some((relation) => this.#nameOf(relation) !== undefined)) || (statement.inner !== undefined && this.#concerns(statement.inner));
  }

  #nameOf(relation: RelationRef): { readonly schema: string; readonly name: string } | undefined {
    const { services, searchPath, temporaryTables } = this.#core;
    return services.routes.localName(relation, services.view().snapshot, { searchPath, temporaryTables });
  }
}
