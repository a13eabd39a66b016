/** A gateway between a PostgreSQL source, a local and a MySQL server that has the tables, with a control whose snapshot the test sets by hand. */
import pg from 'pg';
import type { RoutingSnapshot, TableRoute } from '../../../catalog/routing-snapshot.ts';
import type { Runtime } from '../../../config/runtime.ts';
import type { MigratedColumn, MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import { parseMysqlVersion, serverCapabilities } from '../../../grammar/dialect/mysql/server-capabilities.ts';
import { dialectFacts } from '../../grammar/dialect/dialect-tables.ts';
import { startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { startGateway } from '../gateway-fixture.ts';
import type { GatewayFixture } from '../gateway-fixture.ts';

export interface Reach extends AsyncDisposable {
  readonly source: TestPostgres;
  readonly local: TestPostgres;
  readonly server: TestMysql;
  readonly fixture: GatewayFixture;
  /** Counted by name and labels. */
  readonly counts: ReadonlyMap<string, number>;
  /** A client of the gateway; closed with it. */
  connect(options?: pg.ClientConfig): Promise<pg.Client>;
  publish(tables: Readonly<Record<string, Partial<TableRoute>>>, more?: Partial<RoutingSnapshot>): void;
}

export const onMysql: Partial<TableRoute> = { state: 'SYNCHRONIZING', reads: 'source', writes: 'source', door: 'mysql' };
export const followed: Partial<TableRoute> = { ...onMysql, state: 'DUAL_WRITE', reads: 'local', trackWrites: true };
export const synchronous: Partial<TableRoute> = { ...followed, trackWrites: false, waitVisible: true };
export const movedToLocal: Partial<TableRoute> = { state: 'LOCAL_ONLY', reads: 'local', writes: 'local', door: 'mysql' };

/** `nobody` has no login at the MySQL server. */
export async function startReach(kind: MysqlKind): Promise<Reach> {
  const [source, local, server] = await Promise.all([startTestPostgres(), startTestPostgres(), startMysql(kind)]);
  await server.createDatabase('corpus');
  for (const postgres of [source, local]) await (await postgres.client()).query("CREATE ROLE nobody LOGIN SUPERUSER; ALTER DATABASE postgres SET timezone TO 'UTC'");
  const counts = new Map<string, number>();
  const metrics: Runtime['metrics'] = {
    count: (name, labels, by = 1) => counts.set(`${name} ${JSON.stringify(labels)}`, (counts.get(`${name} ${JSON.stringify(labels)}`) ?? 0) + by),
    gauge: () => undefined, observe: () => undefined, observer: () => () => undefined, remove: () => undefined,
  };
  const asked = { source: await source.client(), local: await local.client() };
  const { host, port, user, password } = server;
  const fixture = await startGateway(source.address, local.address, {
    mysql: { hasLogin: (name) => name !== 'nobody', target: () => ({ host, port, user, password }) },
    askSide: async (side, sql) => (await asked[side].query<(string | null)[]>({ text: sql, rowMode: 'array' })).rows,
  }, metrics);
  const clients: pg.Client[] = [];
  return {
    source, local, server, fixture, counts,
    connect: async (options = {}) => {
      const client = new pg.Client({ host: '127.0.0.1', port: fixture.gateway.port, user: 'postgres', database: 'postgres', ...options });
      client.on('error', () => undefined);
      await client.connect();
      clients.push(client);
      return client;
    },
    publish: (tables, more) => fixture.control.publish(tables, more),
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) await client.end().catch(() => undefined);
      await fixture[Symbol.asyncDispose]();
      await Promise.all([source[Symbol.asyncDispose](), local[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
    },
  };
}

/** The tables of the dialects' corpora, as the control would know them. */
export function corpusFacts(): readonly (readonly [key: string, table: MigratedTable])[] {
  return dialectFacts().map((table) => [`public.${table.name}`, factsOf({ database: 'corpus', name: table.name, key: table.primaryKey, unique: table.uniqueKeys.slice(1), columns: table.columns.map((column) => columnOf(column.name, column.type, column.mysqlType, { ...column, generated: undefined })) })] as const);
}

export type ColumnParts = Partial<Omit<MigratedColumn, 'charset' | 'collation' | 'generated'>> & { readonly fraction?: number; readonly charset?: string | null; readonly collation?: string | null; readonly generated?: undefined };

export function columnOf(name: string, type: string, mysqlType: string, more: ColumnParts = {}): MigratedColumn {
  return {
    position: 1, typeText: mysqlType, zerofill: false, padsBlanks: false, mayBecomeNull: false, hasLocalDefault: false, onUpdateNow: false, isJsonText: false, isInvisible: false, isLocalEnum: mysqlType === 'enum',
    name, type, mysqlType, unsigned: more.unsigned ?? false, charset: more.charset ?? null, collation: more.collation ?? null, nullable: more.nullable ?? true, autoIncrement: more.autoIncrement ?? false, exact: true, policies: more.policies ?? {},
    ...(more.fraction === undefined ? {} : { length: more.fraction }), ...(more.localCollation === undefined ? {} : { localCollation: more.localCollation }), ...(more.padsBlanks === undefined ? {} : { padsBlanks: more.padsBlanks }),
    ...(more.sequence === undefined ? {} : { sequence: more.sequence }), ...(more.length === undefined ? {} : { length: more.length }), ...(more.labels === undefined ? {} : { labels: more.labels }),
  };
}

export interface FactsParts {
  readonly database: string;
  readonly name: string;
  readonly key: readonly string[];
  readonly unique?: readonly (readonly string[])[];
  readonly columns: readonly MigratedColumn[];
}

export function factsOf({ database, name, key, unique = [], columns }: FactsParts): MigratedTable {
  return {
    mysql: { database, name }, local: { schema: 'public', name }, server: { flavour: 'mariadb', version: 101100, text: '' }, collation: null, hash: name, columns: columns.map((column, index) => ({ ...column, position: index + 1 })),
    primaryKey: key, uniqueKeys: [{ mysqlName: 'PRIMARY', localName: `${name}_pkey`, columns: key }, ...unique.map((each) => ({ mysqlName: each[0] ?? '', localName: `${name}_${each[0] ?? ''}_key`, columns: each }))], foreignKeys: [], referencedBy: [],
  };
}

export async function capabilitiesOf(server: TestMysql): Promise<ReturnType<typeof serverCapabilities>> {
  const [row] = await server.sql('SELECT VERSION() AS version');
  const version = parseMysqlVersion(row?.['version'] ?? '');
  if (!version) throw new Error('no version');
  return serverCapabilities(version);
}
