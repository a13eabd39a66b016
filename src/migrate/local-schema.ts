/** Makes a migrated table on local, in the order of a migration; every step looks at what exists and may be run again. */
import type { TableRecord } from '../../catalog/records.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { dropDependantsOf, dropFunctionsOf } from '../../cdc/postgres/create-dependants.ts';
import { addForeignKeys, buildIndexes, buildKey, createTable } from '../../cdc/postgres/build-keys.ts';
import type { SchemaPlan } from '../../cdc/postgres/create-schema.ts';
import { runGrants } from '../../cdc/postgres/grants.ts';
import { lockedTransaction } from '../../cdc/postgres/locked-transaction.ts';
import type { SourceSide } from '../../cdc/source-side.ts';
import { quoteTable } from '../../cdc/postgres/quote.ts';
import { readServerVersion } from '../../cdc/postgres/read-json.ts';
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';
import type { TableDefinition } from '../../cdc/postgres/table-definition.ts';
import type { AdminConnection } from '../../cdc/postgres/admin-connection.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import { LocalDependants } from './local-dependants.ts';
import type { RolesOf } from './local-dependants.ts';
import { detailsOf, displayName, mappingOf } from './table-details.ts';

/** States in which all rows of the table are on local, at one instant with the other such tables. */
const loadedStates: readonly string[] = ['SYNCHRONIZING', 'DUAL_WRITE', 'CUTOVER_READY', 'LOCAL_ONLY'];

/** Who only reads the table on local is waited for no longer than this. */
const DROP_MS = 5_000;

export class LocalSchema {
  readonly #runtime: Runtime;
  readonly #source: SourceSide;
  readonly #local: AdminConnection;
  readonly #address: ServerAddress;
  readonly #rolesOf: RolesOf;
  /** What hangs on the tables: functions, triggers, policies, views. */
  readonly dependants: LocalDependants;
  readonly #owing = new Set<string>();

  constructor(runtime: Runtime, source: SourceSide, local: AdminConnection, address: ServerAddress, rolesOf: RolesOf) {
    this.#runtime = runtime;
    this.#source = source;
    this.#local = local;
    this.#address = address;
    this.#rolesOf = rolesOf;
    this.dependants = new LocalDependants(source, local, rolesOf);
  }

  async createTable(record: TableRecord): Promise<void> {
    const { definition, schema } = await this.#plan(record);
    await this.dependants.makeBefore(record);
    await this.#local.use((client) => createTable(client, definition, detailsOf(record).plan, schema));
  }

  async buildKey(record: TableRecord): Promise<void> {
    const { schema } = await this.#plan(record);
    await this.#local.use((client) => buildKey(client, schema));
  }

  async buildIndexes(record: TableRecord): Promise<void> {
    const { schema } = await this.#plan(record);
    const connections = typeof record.options['parallelIndexBuilders'] === 'number' ? record.options['parallelIndexBuilders'] : 2;
    await buildIndexes(this.#address, schema, { connections, concurrently: false });
  }

  /** Privileges on the table and its sequences, to who the source's roles are here. Returns what could not be granted. */
  async copyGrants(record: TableRecord): Promise<readonly string[]> {
    const { schema } = await this.#plan(record);
    const refused = await this.#local.use((client) => runGrants(client, schema.grants, this.#rolesOf));
    return [...refused, ...(await this.#local.use((client) => this.#source.grantSequences(client, [record], this.#rolesOf)))];
  }

  /**
   * Foreign keys of the table and to it that are missing on local, with tables that are in step: one whose changes are still applied by themselves shows another
   * instant than its parent. Whoever comes into step last finds all the others; who finds one out of step for the moment comes by again.
   */
  async buildForeignKeys(record: TableRecord, all: readonly TableRecord[], isInStep: (record: TableRecord) => boolean): Promise<void> {
    const records = all.filter(({ sourceServer }) => sourceServer === record.sourceServer);
    const targets = new Map(records.map(({ source, target }) => [nameKey(source), target]));
    const built = records.filter(({ state, details }) => loadedStates.includes(state) && details['indexesBuilt'] === true);
    const loaded = new Set(built.filter((each) => each.state === 'LOCAL_ONLY' || isInStep(each)).map(({ source }) => nameKey(source)));
    const definition = await this.#source.introspectTable(record.source, mappingOf(record));
    const steps = this.#source.planForeignKeys(definition, (source) => targets.get(nameKey(source)));
    const later = await this.#local.use((client) => addForeignKeys(client, steps, (source) => loaded.has(nameKey(source))));
    const isBuilt = (name: QualifiedName): boolean => built.some(({ source }) => nameKey(source) === nameKey(name));
    if (later.some(({ sourceChild, sourceParent }) => isBuilt(sourceChild) && isBuilt(sourceParent))) this.#owing.add(record.tableId);
    else this.#owing.delete(record.tableId);
  }

  /** A foreign key of the table could not be made, for one of its ends was out of step. */
  owesForeignKeys(record: TableRecord): boolean {
    return this.#owing.has(record.tableId);
  }

  async analyze(record: TableRecord): Promise<void> {
    await this.#local.use((client) => client.query(`ANALYZE ${quoteTable(record.target)}`));
  }

  /**
   * Removes the table from local, with what the migration made over it and the foreign keys of other tables to it; nothing else goes with it. MIG087 where
   * somebody holds the table for long: others on local would wait behind that, and other tables' drivers for the connection.
   */
  async dropTable(record: TableRecord): Promise<void> {
    try {
      await this.#drop(record);
    } catch (error) {
      if (!(error instanceof MigrationError && error.code === 'MIG052')) throw error;
      throw new MigrationError('MIG087', `${displayName(record.target)} on local could not be dropped: it is in use there`, { ...(error.detail === undefined ? {} : { detail: error.detail }), hint: 'End the transaction named in DETAIL. What ends with the migration is tried again by itself; RESYNC is to be said again.', cause: error });
    }
  }

  #drop(record: TableRecord): Promise<void> {
    return lockedTransaction(this.#runtime, this.#local, { tables: [record.target], timeoutMs: DROP_MS, excludesReaders: true }, async (client) => {
      await dropDependantsOf(client, record.target);
      const { rows } = await client.query<{ sql: string }>(
        `SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::regclass, c.conname) AS sql FROM pg_constraint c
          WHERE c.contype = 'f' AND c.confrelid = to_regclass($1) AND c.conrelid <> c.confrelid AND c.conparentid = 0`, [quoteTable(record.target)]);
      for (const { sql } of rows) await client.query(sql);
      await client.query(`DROP TABLE IF EXISTS ${quoteTable(record.target)}`);
      await dropFunctionsOf(client, record.target);
    });
  }

  async #plan(record: TableRecord): Promise<{ definition: TableDefinition; schema: SchemaPlan }> {
    const definition = await this.#source.introspectTable(record.source, mappingOf(record));
    const localVersion = await this.#local.use((client) => readServerVersion(client));
    return { definition, schema: this.#source.planSchema(definition, detailsOf(record).plan, localVersion) };
  }
}

function nameKey(name: QualifiedName): string {
  return JSON.stringify([name.schema, name.name]);
}
