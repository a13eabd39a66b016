/** A PostgreSQL database as the captured side of a stream: publication, replication slot, WAL. */
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { TargetShape } from '../apply/bound-table.ts';
import { rowImage } from '../apply/change-record.ts';
import type { RowImage } from '../apply/conflict.ts';
import { rowFromValues } from '../apply/fetch-rows.ts';
import { encodeRows } from '../apply/row-set.ts';
import type { RowRef } from '../apply/row-set.ts';
import { rereadStatement, versionStatement, writeVersionStatement } from '../apply/statements.ts';
import type { TableBinding } from '../apply/table-binding.ts';
import type { Position } from '../change.ts';
import type { BaselineColumn } from '../spool/spool.ts';
import type { CaptureConnection, CaptureHandlers, ChangeSource, Retention, RowVersion, SavedState, SourceIdentity } from '../stream/change-source.ts';
import type { TablePlan } from '../table-plan.ts';
import { sqlstateOf } from './connect.ts';
import { dropDdlLog, installDdlLog } from './ddl-log.ts';
import { writeMarkerRow } from './marker-row.ts';
import { ReplicationConnection, ReplicationError } from './replication-connection.ts';
import type { ServerAddress } from './server-address.ts';
import { checkPositions, createSlot, dropPublication, dropSlot, preparePublication, publishTable, readSlot, unpublishTable, waitForWriters } from './slot.ts';
import { SqlClient } from './sql-client.ts';
import { checkReplicaIdentity, publishedTables, readColumns, readLeaves, readTargetShape, readTreeOids } from './table-definition.ts';

export interface PostgresSourceOptions {
  /** Of the stream: names its connections. */
  readonly name: string;
  readonly direction: 'forward' | 'reverse';
  readonly source: ServerAddress;
  readonly slotName: string;
  readonly publicationName: string;
}

const WRITER_POLL_MS = 20;
/** A writer may hold the row; the list is taken up again a moment later. */
const LOCK_TIMEOUT = "SET LOCAL lock_timeout = '200ms'";
const LOCK_NOT_AVAILABLE = '55P03';

export class PostgresChangeSource implements ChangeSource {
  readonly engine = 'postgres';
  readonly #runtime: Runtime;
  readonly #options: PostgresSourceOptions;
  readonly #client: SqlClient;

  constructor(runtime: Runtime, options: PostgresSourceOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#client = new SqlClient(options.source, `causeway ${options.name} source`);
  }

  positionOf(order: bigint): Position {
    return { type: 'postgresql_lsn', lsn: order };
  }

  /** What a table's changes are called is in the stream itself. */
  expect(): void {
    return undefined;
  }

  async prepare(): Promise<void> {
    await this.#client.use((client) => preparePublication(client, this.#options.publicationName));
  }

  readRetention(): Promise<Retention | undefined> {
    return this.#client.use((client) => readSlot(client, this.#options.slotName));
  }

  begin(): Promise<bigint> {
    return this.#client.use((client) => createSlot(client, this.#options.slotName));
  }

  async connect(): Promise<CaptureConnection> {
    return new SlotConnection(await ReplicationConnection.open(this.#options.source), this.#options);
  }

  readEnd(): Promise<bigint> {
    return this.#readLsn('pg_current_wal_insert_lsn()');
  }

  readDurableEnd(): Promise<bigint> {
    return this.#readLsn('pg_current_wal_flush_lsn()');
  }

  async #readLsn(expression: string): Promise<bigint> {
    const [row] = await this.#client.rows({ text: `SELECT (${expression} - '0/0'::pg_lsn)::text` });
    return BigInt(row?.[0] ?? '0');
  }

  checkTable(plan: TablePlan): Promise<void> {
    return checkReplicaIdentity(this.#client, plan);
  }

  readColumns(table: QualifiedName): Promise<readonly BaselineColumn[] | undefined> {
    return readColumns(this.#client, table);
  }

  async readPartitions(table: QualifiedName): Promise<readonly number[]> {
    return (await readLeaves(this.#client, table)).map(({ oid }) => oid);
  }

  async captureTable(plan: TablePlan): Promise<void> {
    const { publicationName } = this.#options;
    const sleep = (): Promise<void> => this.#runtime.clock.sleep(WRITER_POLL_MS, this.#runtime.signal);
    for (const table of await publishedTables(this.#client, plan)) await this.#client.use((client) => publishTable(client, publicationName, table, sleep));
    const oids = await readTreeOids(this.#client, plan.source);
    await this.#client.use((client) => waitForWriters(client, oids, sleep));
  }

  async releaseTable(plan: TablePlan): Promise<void> {
    // A table that was dropped on the source has left the publication by itself.
    const published = await publishedTables(this.#client, plan).catch(() => [plan.source]);
    for (const table of published) await this.#client.use((client) => unpublishTable(client, this.#options.publicationName, table));
  }

  async writeMarker(name: string, token: string): Promise<void> {
    await this.#client.use((client) => writeMarkerRow(client, name, token));
  }

  installDdlLog(): Promise<boolean> {
    return this.#client.use(installDdlLog);
  }

  async readRows(table: TableBinding, keys: readonly RowRef[]): Promise<readonly RowRef[]> {
    const statement = rereadStatement(table);
    const found = await this.#client.rows({ text: statement.text, values: encodeRows(keys, statement.columns.map((column) => column.at)) });
    return found.map((values) => rowFromValues(table, values));
  }

  readShape(plan: TablePlan): Promise<TargetShape> {
    return readTargetShape(this.#client, plan.source);
  }

  async readVersions(table: TableBinding, keys: readonly RowRef[]): Promise<ReadonlyMap<number, RowVersion>> {
    const statement = versionStatement(table);
    const found = await this.#client.rows({ text: statement.text, values: encodeRows(keys, statement.columns.map((column) => column.at)) });
    return new Map(found.map(([ordinal, tableOid, ctid, xmin, ...values]) => [
      Number(ordinal), { id: `${tableOid} ${ctid} ${xmin}`, image: rowImage(table, rowFromValues(table, values)) },
    ]));
  }

  async writeVersion(table: TableBinding, id: string, row: RowImage): Promise<'written' | 'changed' | 'locked'> {
    const { text, columns } = writeVersionStatement(table);
    try {
      return await this.#client.use(async (client) => {
        await client.query('BEGIN');
        await client.query(LOCK_TIMEOUT);
        const { rowCount } = await client.query(text, [...id.split(' '), ...columns.map((column) => row[column.plan.name] ?? null)]);
        await client.query('COMMIT');
        return rowCount === 1 ? 'written' : 'changed';
      });
    } catch (error) {
      if (sqlstateOf(error) === LOCK_NOT_AVAILABLE) return 'locked';
      throw error;
    }
  }

  async drop(): Promise<void> {
    const { direction, publicationName, slotName } = this.#options;
    await this.#client.use(async (client) => {
      if (direction === 'forward') await dropDdlLog(client, publicationName);
      await dropPublication(client, publicationName);
      await dropSlot(client, slotName);
    });
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

class SlotConnection implements CaptureConnection {
  readonly #replication: ReplicationConnection;
  readonly #options: PostgresSourceOptions;

  constructor(replication: ReplicationConnection, options: PostgresSourceOptions) {
    this.#replication = replication;
    this.#options = options;
  }

  async identify(): Promise<SourceIdentity> {
    const { systemId, timeline } = await this.#replication.identify();
    return { systemId, timeline };
  }

  check(saved: SavedState, retention: Retention | undefined): Promise<SourceIdentity> {
    return checkPositions(saved, this.#options.slotName, retention, this.#replication);
  }

  async start(from: bigint, handlers: CaptureHandlers): Promise<void> {
    const { slotName, publicationName } = this.#options;
    try {
      await this.#replication.start({ slotName, publicationName, from }, handlers);
    } catch (error) {
      if (error instanceof ReplicationError && error.sqlstate === UNDEFINED_OBJECT) throw new MigrationError('MIG020', undefined, { cause: error, detail: error.message });
      throw error;
    }
  }

  sendFeedback(written: bigint, confirmed: bigint, nowMs: number, askForAnswer: boolean): void {
    this.#replication.sendFeedback(written, confirmed, nowMs, askForAnswer);
  }

  pause(): void {
    this.#replication.pause();
  }

  resume(): void {
    this.#replication.resume();
  }

  close(): void {
    this.#replication.close();
  }
}

const UNDEFINED_OBJECT = '42704';
