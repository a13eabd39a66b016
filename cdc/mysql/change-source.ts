/**
 * A MySQL or MariaDB database as the captured side of a stream. What the server keeps it keeps for everybody: where this stream is, is in a record of
 * its own (`source-record.ts`), and whether the server still has what follows is looked at before each start.
 */
import { createHash, randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { TargetShape } from '../apply/bound-table.ts';
import type { RowImage } from '../apply/conflict.ts';
import type { RowRef } from '../apply/row-set.ts';
import type { TableBinding } from '../apply/table-binding.ts';
import type { Position } from '../change.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import type { BaselineColumn } from '../spool/spool.ts';
import type { CaptureConnection, ChangeSource, Retention, RowVersion, SourceIdentity, WrittenVersion } from '../stream/change-source.ts';
import type { TablePlan } from '../table-plan.ts';
import { readTargetColumns } from './apply/target-table.ts';
import { createBookkeeping } from './binlog/bookkeeping.ts';
import { readBinlogPlace } from './binlog/begin-dump.ts';
import { BinlogReader } from './binlog/binlog-reader.ts';
import type { KnownDefinitions, Place } from './binlog/known-definitions.ts';
import type { OpenBinlog } from './binlog-connection.ts';
import { packOrder, readFileName, unpackOrder } from './binlog-order.ts';
import { BinlogConnection, CutOffTransactions } from './binlog-connection.ts';
import { CapturedTables } from './captured-tables.ts';
import { chooseServer } from './choose-server.ts';
import { replicationAddress } from './connect.ts';
import { openDefinitions } from './definitions-folder.ts';
import { MysqlClient } from './mysql-client.ts';
import type { MysqlPosition } from './position.ts';
import { mysqlLiteral, mysqlTableName } from './query.ts';
import { readServerPosition } from './read-position.ts';
import { readSystemId } from './probe-server.ts';
import { SentTransactions } from './sent-transactions.ts';
import { ServerPlaces } from './server-places.ts';
import { SourceRecordFile } from './source-record.ts';
import type { TypeRules } from './source-column.ts';
import { readMysqlVersions, VersionWriter } from './write-versions.ts';

export interface MysqlSourceOptions {
  readonly name: string;
  readonly source: ServerAddress;
  /** The stream's own file for what it keeps of the server. */
  readonly recordFile: string;
  readonly types: TypeRules;
  /** Among all servers and replicas of the topology no other may have it. Default: made from the stream's name. */
  readonly replicaId?: number;
  /** Where the source may be; `source` is its address. Default: there alone. */
  readonly places?: ServerPlaces;
  /** Another log than the server's own. */
  readonly log?: BinlogAccess;
}

export interface BinlogAccess {
  readonly open: OpenBinlog;
  /** Where it ends now, by GTID where the server has them. */
  readEnd(): Promise<MysqlPosition>;
  /** The same without GTIDs, and whose log it is. */
  readPlace(): Promise<{ readonly place: Place; readonly systemId: string }>;
}

/** Those who wait behind the lock are not held for longer. */
const LOCK_WAIT_S = 1;
const LOCK_WAIT_TIMEOUT = 1205;
const RETRY_MS = 1000;
/** Behind the magic number of a binlog's file. */
const FIRST_EVENT = 4;

export class MysqlChangeSource implements ChangeSource {
  readonly engine = 'mysql';
  readonly #runtime: Runtime;
  readonly #options: MysqlSourceOptions;
  readonly #client: MysqlClient;
  /** COMMITs wait for what it is asked: nothing else is. */
  readonly #ends: MysqlClient;
  readonly #tables: CapturedTables;
  readonly #record: SourceRecordFile;
  readonly #definitions: KnownDefinitions;
  readonly #log: BinlogAccess;
  readonly #cutOff = new CutOffTransactions();
  readonly #places: ServerPlaces;
  readonly #sent: SentTransactions;
  readonly #versions: VersionWriter;
  #file = { base: 'binlog', digits: 6 };

  constructor(runtime: Runtime, options: MysqlSourceOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#places = options.places ?? new ServerPlaces(options.source);
    this.#sent = new SentTransactions(`${options.recordFile}.sent`);
    this.#client = new MysqlClient(options.source);
    this.#versions = new VersionWriter(options.source);
    this.#ends = new MysqlClient(options.source);
    this.#tables = new CapturedTables({ ask: (sql) => this.#client.ask(sql), query: (sql) => this.#client.query(sql), types: options.types, definitionAt: (table, place) => this.#definitions.at(table, place) });
    this.#log = options.log ?? { open: (start, captures) => this.#openReader(start, captures), readEnd: () => readServerPosition((sql) => this.#client.query(sql)), readPlace: () => this.#ends.use(async (ask) => ({ place: await readBinlogPlace(ask), systemId: await readSystemId(ask) })) };
    this.#record = new SourceRecordFile(options.recordFile);
    this.#definitions = openDefinitions(definitionsFolder(options));
    const saved = this.#record.read();
    if (saved) this.#file = readFileName(saved.resume.binlogFile);
  }

  expect(plan: TablePlan, columns?: readonly BaselineColumn[]): void {
    this.#tables.expect(plan, columns);
  }

  positionOf(order: bigint): Position {
    return unpackOrder(order, this.#file);
  }

  async prepare(): Promise<void> {
    await this.#settle();
    // Statements that change nothing are in the binlog all the same.
    const [made] = await this.#client.ask("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'causeway' AND TABLE_NAME IN ('marker', 'applied')");
    if (made?.[0] === '2') return;
    for (const statement of createBookkeeping) await this.#client.ask(statement);
  }

  /** Goes over to the server that was promoted in the place of the one that was read (`choose-server.ts`). */
  async #settle(): Promise<void> {
    if (this.#options.log) return;
    const record = this.#record.read();
    // Who was read is not noted: the check of the connection sees to it.
    if (record && record.server === undefined) return;
    const chosen = await chooseServer(this.#runtime, this.#places, record?.server === undefined ? undefined : { server: record.server, resume: record.resume, sent: this.#sent });
    if (!chosen) return;
    const { place, report: { systemId, firstFile } } = chosen;
    if (record && record.server !== systemId) {
      // Files and places of the old server mean nothing on this one; where reading begins is said by GTID.
      this.#definitions.clear();
      this.#record.write({ ...record, generation: record.generation + 1, server: systemId, earlier: [...(record.earlier ?? []), ...(record.server === undefined ? [] : [record.server])], resume: { ...record.resume, binlogFile: firstFile, binlogPosition: FIRST_EVENT } });
      this.#file = readFileName(firstFile);
      this.#runtime.log.warn('the stream goes on at another server of the source', { stream: this.#options.name, from: record.server, to: systemId, host: place.host, port: place.port });
    }
    this.#places.moveTo(place);
  }

  /** The one that is read is not written to any more, and another one is that can go on. */
  async #isReplaced(): Promise<boolean> {
    const record = this.#record.read();
    if (this.#places.all.length < 2 || this.#options.log || record?.server === undefined) return false;
    const [[readOnly] = []] = await this.#client.ask('SELECT @@GLOBAL.read_only');
    if (readOnly === '0') return false;
    const chosen = await chooseServer(this.#runtime, this.#places, { server: record.server, resume: record.resume, sent: this.#sent });
    return chosen !== undefined && chosen.report.systemId !== record.server;
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
    const resume = await this.#log.readEnd();
    this.#file = readFileName(resume.binlogFile);
    // What was read between is not known.
    this.#definitions.clear();
    const confirmed = packOrder(0, resume.binlogFile, resume.binlogPosition);
    this.#sent.remove();
    this.#record.write({ generation: 0, server: await this.#systemId(), confirmed, resume });
    return confirmed;
  }

  connect(): Promise<CaptureConnection> {
    return Promise.resolve(new BinlogConnection({
      streamName: this.#options.name, tables: this.#tables, record: this.#record, openBinlog: this.#log.open,
      sent: this.#sent, isReplaced: () => this.#isReplaced(), identify: () => this.#identify(), readEnd: () => this.readEnd(), format: (order) => this.#format(order), cutOff: this.#cutOff, onConfirmed: (resume) => this.#definitions.prune(resume),
      onRefused: (relation, error) => this.#runtime.log.warn('a value of the source cannot become one of local', { table: `${relation.schema}.${relation.name}`, error: String(error) }),
    }));
  }

  #openReader(start: MysqlPosition, captures: (schema: string, name: string) => boolean): Promise<BinlogReader> {
    return BinlogReader.open({
      address: replicationAddress(this.#options.source), start, captures, facts: (schema, name) => this.#tables.facts(schema, name), known: this.#definitions,
      replicaId: this.#options.replicaId ?? replicaIdOf(this.#options.name),
    });
  }

  #format(order: bigint): string {
    const { file, offset } = unpackOrder(order, this.#file);
    return `${file}:${offset}`;
  }

  async #identify(): Promise<SourceIdentity> {
    const [[folding] = []] = await this.#client.ask('SELECT @@GLOBAL.lower_case_table_names');
    this.#tables.foldsCase = folding !== '0';
    return { systemId: await this.#systemId(), timeline: this.#record.read()?.generation ?? 0 };
  }

  #systemId(): Promise<string> {
    return readSystemId((sql) => this.#client.ask(sql));
  }

  async readEnd(): Promise<bigint> {
    const { place: { binlogFile, binlogPosition }, systemId } = await this.#log.readPlace();
    const record = this.#record.read();
    // Behind the same name there may be another server by now, and its places are others.
    if (record?.server !== undefined && record.server !== systemId) throw new MigrationError('MIG023', 'The server of the source is another one than the stream reads');
    return packOrder(record?.generation ?? 0, binlogFile, binlogPosition);
  }

  /** A server with `sync_binlog` below 1 may lose the end of its binlog in a crash; then it ends before what was read, which the next start tells. */
  readDurableEnd(): Promise<bigint> {
    return this.readEnd();
  }

  /** A table begins here: its rows are read by the definition that it has now, until a statement makes another one. */
  async checkTable(plan: TablePlan): Promise<void> {
    if (plan.keyKind === 'full') throw new MigrationError('MIG013', `The table ${plan.source.name} has no key that says which row a change belongs to`, { tableName: plan.source.name, hint: 'Give the table a primary key, or a unique key over columns that are NOT NULL.' });
    const { schema, name } = plan.source;
    this.#definitions.forget(plan.source);
    const asked = await this.#readPlace();
    const columns = await this.#tables.facts(schema, name);
    if (columns) this.#definitions.noteFirst({ schema, name, columns, asked, from: await this.#readPlace() });
  }

  readColumns(table: QualifiedName): Promise<readonly BaselineColumn[] | undefined> {
    return this.#tables.readBaseline(table);
  }

  async #readPlace(): Promise<Place> {
    const { binlogFile, binlogPosition } = await this.#log.readEnd();
    return { binlogFile, binlogPosition };
  }

  /** Changes come under the table's own name. */
  readPartitions(table: QualifiedName): Promise<readonly number[]> {
    return Promise.resolve([this.#tables.numberOf(table)]);
  }

  /**
   * The binlog has every table. What must be waited for are transactions that the binlog has and that readers do not see yet. Servers make
   * transactions visible in the order of the binlog: once one of our own is, all before it are. Where that order has been turned off each of
   * them still holds the lock on its tables, and a lock that is granted after it says that it has ended.
   */
  async captureTable(plan: TablePlan): Promise<void> {
    const [setting] = await this.#client.ask("SHOW GLOBAL VARIABLES LIKE 'binlog_order_commits'");
    await this.writeMarker(captureName(this.#options.name), randomUUID());
    if (setting?.[1] === 'OFF') await this.#waitForWriters(plan);
  }

  async #waitForWriters(plan: TablePlan): Promise<void> {
    for (;;) {
      try {
        await this.#client.use(async (ask) => {
          await ask(`SET lock_wait_timeout = ${LOCK_WAIT_S}`);
          await ask(`LOCK TABLES ${mysqlTableName(plan.source)} READ`);
          await ask('UNLOCK TABLES');
        });
        return;
      } catch (error) {
        if (!(error instanceof Error && 'errno' in error && error.errno === LOCK_WAIT_TIMEOUT)) throw error;
        await this.#runtime.clock.sleep(RETRY_MS, this.#runtime.signal);
      }
    }
  }

  releaseTable(plan: TablePlan): Promise<void> {
    this.#tables.release(plan);
    this.#definitions.forget(plan.source);
    return Promise.resolve();
  }

  async writeMarker(name: string, token: string): Promise<void> {
    await this.#client.ask(`INSERT INTO causeway.marker (name, token) VALUES (${mysqlLiteral(name)}, ${mysqlLiteral(token)}) ON DUPLICATE KEY UPDATE token = VALUES(token)`);
  }

  /** Statements stand in the binlog where they belong. */
  installDdlLog(): Promise<boolean> {
    return Promise.resolve(true);
  }

  /** Row images are whole: nothing is ever read again. */
  readRows(): Promise<never> {
    return Promise.reject(new Error('a row of a MySQL table was to be read again'));
  }

  readShape(plan: TablePlan): Promise<TargetShape> {
    return readTargetColumns((sql) => this.#client.query(sql), { ...plan, target: plan.source }, this.#options.types);
  }

  readVersions(table: TableBinding, keys: readonly RowRef[]): Promise<ReadonlyMap<number, RowVersion>> {
    return readMysqlVersions((sql) => this.#client.ask(sql), table, keys);
  }

  writeVersion(table: TableBinding, id: string, row: RowImage, stands: () => Promise<boolean>): Promise<WrittenVersion> {
    return this.#versions.write(table, id, row, stands);
  }

  async drop(): Promise<void> {
    // The one that was read may be gone for good; what is made anew begins where the source is now.
    const chosen = this.#options.log ? undefined : await chooseServer(this.#runtime, this.#places, undefined);
    if (chosen) this.#places.moveTo(chosen.place);
    const [known] = await this.#client.ask("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'causeway' AND TABLE_NAME = 'marker'");
    if (known) await this.#client.ask(`DELETE FROM causeway.marker WHERE name IN (${[this.#options.name, captureName(this.#options.name)].map(mysqlLiteral).join(', ')})`);
    this.#record.remove();
    this.#sent.remove();
    fs.rmSync(definitionsFolder(this.#options), { recursive: true, force: true });
  }

  async close(): Promise<void> {
    this.#sent.close();
    await Promise.all([this.#client.close(), this.#ends.close(), this.#versions.close()]);
  }
}

function definitionsFolder({ recordFile }: MysqlSourceOptions): string {
  return `${recordFile}.definitions`;
}

function captureName(stream: string): string {
  return `${stream} capture`;
}

/** Far above the numbers that people give; the same in every process, so that a server ends what is left of an earlier connection. */
function replicaIdOf(stream: string): number {
  return (0x8000_0000 | createHash('sha256').update(stream).digest().readUInt32BE(0)) >>> 0;
}
