/** Which table of a stream a relation of the captured server belongs to: by its name, or as a partition. */
import { MigrationError } from '../../config/migration-error.ts';
import type { Relation } from '../change.ts';
import type { StreamState } from './stream-state.ts';
import type { TableEntry } from './table-entry.ts';

export class StreamRoutes {
  readonly #state: StreamState;
  readonly #byName = new Map<string, TableEntry>();
  readonly #byPartition = new Map<number, TableEntry>();

  constructor(state: StreamState) {
    this.#state = state;
  }

  /** Anew: tables were added, removed or planned again. */
  async read(): Promise<void> {
    const state = this.#state;
    this.#byName.clear();
    this.#byPartition.clear();
    for (const entry of state.entries.values()) this.#byName.set(nameKey(entry.plan.source), entry);
    const partitioned = [...state.entries.values()].filter((entry) => entry.plan.isPartitioned);
    for (const entry of partitioned) for (const oid of await state.source.readPartitions(entry.plan.source)) this.#byPartition.set(oid, entry);
  }

  /** Throws for a `isNew` relation that may be a partition made since the routes were read. */
  entryOf(relation: Relation, isNew: boolean): TableEntry | undefined {
    const entry = this.#byName.get(nameKey(relation)) ?? this.#byPartition.get(relation.oid);
    if (entry || this.#state.strangers.has(relation.oid)) return entry;
    // Once only, for it may be a table that is leaving the publication.
    this.#state.strangers.add(relation.oid);
    if (!isNew || [...this.#state.entries.values()].every(({ plan }) => !plan.isPartitioned)) return undefined;
    throw new MigrationError('MIG023', undefined, { detail: `${relation.schema}.${relation.name} is new in the stream: the partitions are read again` });
  }
}

function nameKey(table: { readonly schema: string; readonly name: string }): string {
  return JSON.stringify([table.schema, table.name]);
}
