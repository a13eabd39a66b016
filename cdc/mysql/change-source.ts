/**
 * A MySQL or MariaDB database as the captured side of a stream. What the server keeps it keeps for everybody: where this stream is, is in a record of
 * its own (`source-record.ts`), and whether the server still has what follows is looked at before each start.
 */
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { TargetShape } from '../apply/bound-table.ts';
import type { Position } from '../change.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import type { BaselineColumn } from '../spool/spool.ts';
import type { CaptureConnection, ChangeSource, Retention, RowVersion, SourceIdentity } from '../stream/change-source.ts';
import type { TablePlan } from '../table-plan.ts';
import type { OpenBinlog, ReadPosition } from './binlog-changes.ts';
import { packOrder, readFileName, unpackOrder } from './binlog-order.ts';
import { BinlogConnection } from './binlog-connection.ts';
import { CapturedTables } from './captured-tables.ts';
import { MysqlClient } from './mysql-client.ts';
import { quoteTable, quoteText } from './quote.ts';
import { SourceRecordFile } from './source-record.ts';
import type { AskMysql, MapColumn } from './source-column.ts';

export interface MysqlSourceOptions {
  readonly name: string;
  readonly source: ServerAddress;
  /** The stream's own file for what it keeps of the server. */
  readonly recordFile: string;
  readonly mapColumn: (plan: TablePlan) => MapColumn;
  readonly openBinlog: OpenBinlog;
  /** Where the server's binlog ends now, by GTID where it has them. */
  readonly readBinlogEnd: (ask: AskMysql) => Promise<ReadPosition>;
  /** What makes the schema `causeway` with the table `marker (name, token)`, statement by statement. */
  readonly bookkeeping: readonly string[];
}

/** Those who wait behind the lock are not held for longer. */
const LOCK_WAIT_S = 1;
const LOCK_WAIT_TIMEOUT = 1205;
const RETRY_MS = 50;

export class MysqlChangeSource implements ChangeSource {
  readonly #runtime: Runtime;
  readonly #options: MysqlSourceOptions;
  readonly #client: MysqlClient;
  readonly #tables: CapturedTables;
  readonly #record: SourceRecordFile;
  #file = { base: 'binlog', digits: 6 };

  constructor(runtime: Runtime, options: MysqlSourceOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#client = new MysqlClient(options.source);
    this.#tables = new CapturedTables((sql) => this.#client.ask(sql), options.mapColumn);
    this.#record = new SourceRecordFile(options.recordFile);
    const saved = this.#record.read();
    if (saved) this.#file = readFileName(saved.resume.binlogFile);
  }

  expect(plan: TablePlan): void {
    this.#tables.expect(plan);
  }

  positionOf(order: bigint): Position {
    return unpackOrder(order, this.#file);
  }

  async prepare(): Promise<void> {
    for (const statement of this.#options.bookkeeping) await this.#client.ask(statement);
  }

  async readRetention(): Promise<Retention | undefined> {
    const record = this.#record.read();
    if (!record) return undefined;
    const logs = await this.#client.ask('SHOW BINARY LOGS');
    const at = logs.findIndex(([file]) => file === record.resume.binlogFile);
    const bytes = logs.slice(at).reduce((sum, [, size]) => sum + Number(size ?? 0), 0);
    return { confirmed: record.confirmed, lost: at < 0, retainedBytes: at < 0 ? 0 : Math.max(0, bytes - record.resume.binlogPosition) };
  }

  async begin(): Promise<bigint> {
    const resume = await this.#options.readBinlogEnd((sql) => this.#client.ask(sql));
    this.#file = readFileName(resume.binlogFile);
    const confirmed = packOrder(0, resume.binlogFile, resume.binlogPosition);
    this.#record.write({ generation: 0, confirmed, resume });
    return confirmed;
  }

  connect(): Promise<CaptureConnection> {
    return Promise.resolve(new BinlogConnection({
      streamName: this.#options.name, clock: this.#runtime.clock, tables: this.#tables, record: this.#record, openBinlog: this.#options.openBinlog, database: this.#options.source.database,
      identify: () => this.#identify(), readEnd: () => this.readEnd(), format: (order) => this.#format(order),
      onRefused: (relation, error) => this.#runtime.log.warn('a value of the source cannot become one of local', { table: `${relation.schema}.${relation.name}`, error: String(error) }),
    }));
  }

  #format(order: bigint): string {
    const { file, offset } = unpackOrder(order, this.#file);
    return `${file}:${offset}`;
  }

  /** MariaDB has no name of its own for a server but the number that its replicas know it by. */
  async #identify(): Promise<SourceIdentity> {
    const rows = await this.#client.ask("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uuid', 'server_id')");
    const found = new Map(rows.map(([name, value]) => [name, value]));
    return { systemId: found.get('server_uuid') ?? `server ${found.get('server_id')}`, timeline: this.#record.read()?.generation ?? 0 };
  }

  async readEnd(): Promise<bigint> {
    const { binlogFile, binlogPosition } = await this.#options.readBinlogEnd((sql) => this.#client.ask(sql));
    return packOrder(this.#record.read()?.generation ?? 0, binlogFile, binlogPosition);
  }

  /** A server with `sync_binlog` below 1 may lose the end of its binlog in a crash; then it ends before what was read, which the next start tells. */
  readDurableEnd(): Promise<bigint> {
    return this.readEnd();
  }

  checkTable(plan: TablePlan): Promise<void> {
    if (plan.keyKind === 'full') return Promise.reject(new MigrationError('MIG013', `The table ${plan.source.name} has no key that says which row a change belongs to`, { tableName: plan.source.name, hint: 'Give the table a primary key, or a unique key over columns that are NOT NULL.' }));
    return Promise.resolve();
  }

  readColumns(table: QualifiedName): Promise<readonly BaselineColumn[] | undefined> {
    return this.#tables.readBaseline(table);
  }

  /** Changes come under the table's own name. */
  readPartitions(table: QualifiedName): Promise<readonly number[]> {
    return Promise.resolve([this.#tables.numberOf(table)]);
  }

  /**
   * The binlog has every table. What must be waited for are transactions that the binlog has and that readers do not see yet: each still holds
   * the lock on its tables, and a lock that is granted after it says that it has ended.
   */
  async captureTable(plan: TablePlan): Promise<void> {
    for (;;) {
      try {
        await this.#client.use(async (ask) => {
          await ask(`SET lock_wait_timeout = ${LOCK_WAIT_S}`);
          await ask(`LOCK TABLES ${quoteTable(plan.source)} READ`);
          await ask('UNLOCK TABLES');
        });
        return;
      } catch (error) {
        if (!(error instanceof Error && 'errno' in error && error.errno === LOCK_WAIT_TIMEOUT)) throw error;
        await this.#runtime.clock.sleep(RETRY_MS, this.#runtime.signal);
      }
    }
  }

  releaseTable(): Promise<void> {
    return Promise.resolve();
  }

  async writeMarker(name: string, token: string): Promise<void> {
    await this.#client.ask(`INSERT INTO causeway.marker (name, token) VALUES (${quoteText(name)}, ${quoteText(token)}) ON DUPLICATE KEY UPDATE token = VALUES(token)`);
  }

  /** Statements stand in the binlog where they belong. */
  installDdlLog(): Promise<boolean> {
    return Promise.resolve(true);
  }

  /** Row images are whole: nothing is ever read again. */
  readRows(): Promise<never> {
    return Promise.reject(new Error('a row of a MySQL table was to be read again'));
  }

  readShape(): Promise<TargetShape> {
    return Promise.resolve({ identityAlways: new Set(), generated: new Set() });
  }

  readVersions(): Promise<ReadonlyMap<number, RowVersion>> {
    return Promise.reject(writesBackNothing());
  }

  writeVersion(): Promise<never> {
    return Promise.reject(writesBackNothing());
  }

  async drop(): Promise<void> {
    const [known] = await this.#client.ask("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'causeway' AND TABLE_NAME = 'marker'");
    if (known) await this.#client.ask(`DELETE FROM causeway.marker WHERE name = ${quoteText(this.#options.name)}`);
    this.#record.remove();
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

function writesBackNothing(): MigrationError {
  return new MigrationError('MIG031', 'rows that won on local are not written back to MySQL', { hint: "Use conflict_strategy 'source_wins' for tables of this source." });
}
