/** A MySQL or MariaDB server and a PostgreSQL that has its tables too, with a MySQL front door before both: tables as the product itself makes them. */
import mysql from 'mysql2/promise';
import pg from 'pg';
import { buildIndexes, buildKey, createTable } from '../../../cdc/postgres/build-keys.ts';
import { convertTable, planMysqlSchema } from '../../../cdc/mysql/create-schema.ts';
import type { MapOverrides } from '../../../cdc/mysql/type-map.ts';
import { introspectMysqlTables } from '../../../cdc/mysql/introspect.ts';
import { migratedTable } from '../../../cdc/mysql/migrated-table.ts';
import { planMysqlTable } from '../../../cdc/mysql/preflight.ts';
import { settleDefinition } from '../../../cdc/mysql/settle-definition.ts';
import type { RoutingSnapshot, TableRoute } from '../../../catalog/routing-snapshot.ts';
import { relationKey } from '../../../catalog/routing-snapshot.ts';
import { LargeBuffers } from '../../../src/wire/socket-input.ts';
import type { MysqlDialect } from '../../../src/session/mysql-local/mysql-local.ts';
import { Pools, sessionPooling } from '../../../src/session/pool/pools.ts';
import { startMysqlSource } from '../../cdc/mysql/mysql-source.ts';
import type { MysqlSource } from '../../cdc/mysql/mysql-source.ts';
import type { MysqlKind } from '../../support/mysql-servers.ts';
import { FakeControl, poolMode, testRuntime } from '../gateway-fixture.ts';
import { openDoor } from './door-fixture.ts';
import type { DoorFixture } from './door-fixture.ts';

export class BothSides implements AsyncDisposable {
  readonly source: MysqlSource;
  readonly control: FakeControl;
  readonly door: DoorFixture['door'];
  readonly warnings: readonly string[];
  readonly #pools: Pools;
  readonly #clients: mysql.Connection[] = [];
  /** By which clients log in on local from now on; undefined: the one that owns everything. */
  localUser: string | undefined;

  private constructor(source: MysqlSource, { door, control, warnings }: DoorFixture, pools: Pools) {
    this.source = source;
    this.door = door;
    this.control = control;
    this.warnings = warnings;
    this.#pools = pools;
  }

  /** `statements` make tables in database `shop`; all of them are on local too, without rows. */
  static async start(kind: MysqlKind, statements: readonly string[], options: { readonly dialect?: MysqlDialect; readonly overrides?: MapOverrides } = {}): Promise<BothSides> {
    const source = await startMysqlSource(kind);
    await source.mysql.createDatabase('shop');
    for (const sql of statements) await source.mysql.sql(sql, 'shop');
    const control = new FakeControl('mysql', 'shop');
    for (const table of await introspectMysqlTables(source.query, { schema: 'shop', table: undefined })) {
      const converted = await settleDefinition(source.local, convertTable(table, { overrides: options.overrides ?? [] }));
      const plan = planMysqlTable(converted, { tableId: table.name });
      const steps = planMysqlSchema(converted, plan, { localVersion: 180000 });
      await createTable(source.local, converted.definition, plan, steps);
      await buildKey(source.local, steps);
      await buildIndexes(source.postgres.address, steps, { connections: 1, concurrently: false });
      control.facts.set(relationKey('shop', table.name), migratedTable(table, converted, plan.target));
    }
    const pools = new Pools(testRuntime(), { ...sessionPooling, size: 4, waitMs: 5_000, modeOf: () => poolMode ?? 'session' }, new LargeBuffers(true));
    const { address } = source.postgres;
    const local = { pools, legs: { target: () => ({ ...address, ...(sides.localUser === undefined ? {} : { user: sides.localUser }) }) }, ...(options.dialect === undefined ? {} : { dialect: options.dialect }) };
    const sides: BothSides = new BothSides(source, await openDoor(source.mysql, { local }, control), pools);
    return sides;
  }

  publish(tables: Readonly<Record<string, Partial<TableRoute>>>, more: Partial<RoutingSnapshot> = {}): void {
    this.control.publish(tables, more);
  }

  async connect(options: Partial<mysql.ConnectionOptions> = {}): Promise<mysql.Connection> {
    const client = await mysql.createConnection({ host: '127.0.0.1', port: this.door.port, user: 'causeway', database: 'shop', ...options });
    client.on('error', () => undefined);
    this.#clients.push(client);
    return client;
  }

  /** A value on local, as text. */
  async onLocal(sql: string): Promise<string | undefined> {
    const { rows } = await this.source.local.query<unknown[]>({ text: sql, rowMode: 'array' });
    return rows.map((row) => row.join('|')).join(' ');
  }

  async onServer(sql: string): Promise<string> {
    return (await this.source.mysql.sql(sql, 'shop')).map((row) => Object.values(row).join('|')).join(' ');
  }

  async localClient(): Promise<pg.Client> {
    const client = new pg.Client(this.source.postgres.address);
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  endClients(): void {
    for (const client of this.#clients.splice(0)) client.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.endClients();
    await this.door.close();
    this.#pools.close();
    await this.source[Symbol.asyncDispose]();
  }
}
