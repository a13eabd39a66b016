/** Functions, triggers, rules, policies and views of migrated tables on local: made, looked at, and taken away with the tables. */
import type { TableRecord } from '../../catalog/records.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { createDependants, reviewDependants } from '../../cdc/postgres/create-dependants.ts';
import type { DependantState, ReviewOptions } from '../../cdc/postgres/create-dependants.ts';
import { isRenamed } from '../../cdc/postgres/dependants.ts';
import type { CarriedTable, Dependant } from '../../cdc/postgres/dependants.ts';
import { quoteTable } from '../../cdc/postgres/quote.ts';
import type { SourceSide } from '../../cdc/source-side.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { AdminConnection } from '../../cdc/postgres/admin-connection.ts';
import { detailsOf, displayName } from './table-details.ts';

/** States in which all rows of the table are on local. */
const loadedStates: readonly string[] = ['SYNCHRONIZING', 'DUAL_WRITE', 'CUTOVER_READY', 'LOCAL_ONLY'];

/** Who a role of the source is on local. */
export type RolesOf = (role: string) => readonly string[];

export class LocalDependants {
  readonly #source: SourceSide;
  readonly #local: AdminConnection;
  readonly #rolesOf: RolesOf;

  constructor(source: SourceSide, local: AdminConnection, rolesOf: RolesOf) {
    this.#source = source;
    this.#local = local;
    this.#rolesOf = rolesOf;
  }

  /** What the table cannot be created without. Throws MIG011 naming what local does not get. */
  async makeBefore(record: TableRecord): Promise<void> {
    const { dependants, options } = await this.#read([record]);
    const states = await this.#local.use((client) => createDependants(client, dependants.filter((each) => each.phase === 'before'), options));
    const failed = states.filter((state) => state.status === 'refused' || state.status === 'differs');
    if (failed.length === 0) return;
    throw new MigrationError('MIG011', `${displayName(record.source)} needs ${failed.map(({ dependant }) => `${dependant.kind} ${dependant.name}`).join(', ')} on local`, {
      tableName: displayName(record.source), detail: failed.map((state) => `${state.dependant.name}: ${state.reason}`).join('; '), hint: 'Create it on local as it is on the source, then RESUME MIGRATION.',
    });
  }

  /** Everything whose tables are loaded and that is still missing on local. */
  async make(records: readonly TableRecord[]): Promise<readonly DependantState[]> {
    const { dependants, options } = await this.#read(records);
    const ready = new Set(records.filter((record) => loadedStates.includes(record.state) && detailsOf(record).indexesBuilt === true).map((record) => nameKey(record.source)));
    return this.#local.use((client) => createDependants(client, dependants.filter((each) => each.tables.length === 0 || each.tables.some((table) => ready.has(nameKey(table)))), options));
  }

  /** The same without making anything. */
  async review(records: readonly TableRecord[]): Promise<readonly DependantState[]> {
    const { dependants, options } = await this.#read(records);
    return this.#local.use((client) => reviewDependants(client, dependants, options));
  }

  /** What is stored in them is as old as their last REFRESH, on local too: brought up to date before reads move to local for good. */
  async refreshStoredViews(records: readonly TableRecord[]): Promise<void> {
    const states = await this.review(records);
    const views = states.flatMap(({ dependant, status }) => (dependant.kind === 'materialized view' && status === 'present' && dependant.relation !== undefined ? [dependant.relation] : []));
    for (const view of views) await this.#local.use((client) => client.query(`REFRESH MATERIALIZED VIEW ${quoteTable(view)}`));
  }

  /** Tables that are LOCAL_ONLY keep what they have: their behaviour on local is nobody's copy any more. Views over them are still wanted. */
  async #read(records: readonly TableRecord[]): Promise<{ dependants: readonly Dependant[]; options: ReviewOptions }> {
    const tables = records.map((record): CarriedTable => ({ source: record.source, target: record.target, copyGrants: record.options['copyGrants'] === true, rolesOf: this.#rolesOf }));
    const followed = new Set(records.filter((record) => record.state !== 'LOCAL_ONLY').map((record) => nameKey(record.source)));
    const loaded = new Set(records.filter((record) => loadedStates.includes(record.state)).map((record) => nameKey(record.source)));
    const renamed = new Set(tables.filter(isRenamed).map((table) => nameKey(table.source)));
    const { all, sourceVersion } = await this.#source.readDependants(tables);
    const dependants = all.filter((each) => each.relation !== undefined || each.tables.length === 0 || each.tables.some((table) => followed.has(nameKey(table))));
    return { dependants, options: { sourceVersion, tables, isOnLocal: (table, anyName) => loaded.has(nameKey(table)) && (anyName || !renamed.has(nameKey(table))) } };
  }
}

function nameKey(name: QualifiedName): string {
  return JSON.stringify([name.schema, name.name]);
}
