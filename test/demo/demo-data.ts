/** What the demo moves: two tables with rows of an hour ago, six rows that are spoilt past the proxy, one of each kind of difference, and the proof that both clusters hold the same in the end. */
import type cassandra from 'cassandra-driver';
import type { DiscrepancyType } from '../../cdc/cassandra/compare/discrepancy.ts';
import type { DemoClusters } from './demo-clusters.ts';

export const KEYSPACE = 'causeway_demo';
export const tables = ['files', 'media_chunks'] as const;
const DOMAINS = 40;
const CONCURRENCY = 64;
const CHUNKS_PER_ASSET = 10;

export function uuidOf(group: number, n: number): string {
  return `00000000-0000-4000-${(0x8000 + group).toString(16)}-${n.toString(16).padStart(12, '0')}`;
}

const domainOf = (n: number): string => uuidOf(1, n % DOMAINS);
const idOf = (n: number): string => uuidOf(2, n);

/** The keyspace may be left from a demo that was killed. */
export async function createTables({ source, target }: DemoClusters): Promise<void> {
  for (const { client } of [source, target]) {
    await client.execute(`DROP KEYSPACE IF EXISTS ${KEYSPACE}`);
    await client.execute(`CREATE KEYSPACE ${KEYSPACE} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`);
    await client.execute(`CREATE TABLE ${KEYSPACE}.files (system_domain_id uuid, id uuid, name text, size bigint, status text, tags set<text>, PRIMARY KEY (system_domain_id, id))`);
    await client.execute(`CREATE TABLE ${KEYSPACE}.media_chunks (asset_id uuid, sequence int, chunk_id text, size int, owner text static, PRIMARY KEY (asset_id, sequence))`);
  }
}

export async function dropTables({ source, target }: DemoClusters): Promise<void> {
  for (const { client } of [source, target]) await client.execute(`DROP KEYSPACE IF EXISTS ${KEYSPACE}`);
}

/** Half of `rows` into each table; every third with a time to live. Resolves with how many rows there are. */
export async function fill({ source: { client } }: DemoClusters, rows: number, signal: AbortSignal): Promise<number> {
  const at = (Date.now() - 3_600_000) * 1000;
  const half = Math.ceil(rows / 2);
  let next = 0;
  await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
    for (let n = next++; n < half; n = next++) {
      signal.throwIfAborted();
      const times = [at + n, n % 3 === 0 ? 86_400 : 0];
      const asset = Math.floor(n / CHUNKS_PER_ASSET);
      await client.execute(`INSERT INTO ${KEYSPACE}.files (system_domain_id, id, name, size, status, tags) VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?`, [domainOf(n), idOf(n), `file ${n}.jpg`, n * 1024, 'CLOSED', [`t${n % 7}`, 'all'], ...times], { prepare: true });
      await client.execute(`INSERT INTO ${KEYSPACE}.media_chunks (asset_id, sequence, chunk_id, size, owner) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?`, [uuidOf(3, asset), n % CHUNKS_PER_ASSET, `chunk-${n}`, 1_048_576, `owner ${asset}`, ...times], { prepare: true });
    }
  }));
  return half * 2;
}

/** One row for each kind, past the proxy, as somebody with the wrong address would. */
export async function spoil({ source, target }: DemoClusters, rows: number): Promise<readonly DiscrepancyType[]> {
  const where = (n: number): string => `WHERE system_domain_id = ${domainOf(n)} AND id = ${idOf(n)}`;
  const [one, two] = [rows + 1, rows + 2];
  const times = await Promise.all([4, 6, 7].map(async (n) => String((await source.client.execute(`SELECT WRITETIME(status) AS w FROM ${KEYSPACE}.files ${where(n)}`)).first()['w'])));
  const [ofFour = '0', ofSix = '0', ofSeven = '0'] = times;
  const after = (time: string): bigint => BigInt(time) + 50n;
  await source.client.execute(`INSERT INTO ${KEYSPACE}.files (system_domain_id, id, name, status) VALUES (${domainOf(one)}, ${idOf(one)}, 'past the proxy', 'CLOSED')`);
  await target.client.execute(`INSERT INTO ${KEYSPACE}.files (system_domain_id, id, name, status) VALUES (${domainOf(two)}, ${idOf(two)}, 'of nobody', 'CLOSED')`);
  await target.client.execute(`UPDATE ${KEYSPACE}.files SET status = 'SPOILT' ${where(2)}`);
  await source.client.execute(`UPDATE ${KEYSPACE}.files USING TIMESTAMP ${after(ofFour)} SET status = 'CLOSED' ${where(4)}`);
  await target.client.execute(`UPDATE ${KEYSPACE}.files USING TIMESTAMP ${ofSix} AND TTL 172000 SET status = 'CLOSED' ${where(6)}`);
  await target.client.execute(`DELETE name FROM ${KEYSPACE}.files USING TIMESTAMP ${after(ofSeven)} ${where(7)}`);
  return ['MissingInTarget', 'MissingInSource', 'ValueMismatch', 'TimestampMismatch', 'TTLMismatch', 'TombstoneMismatch'];
}

/** While the scanner goes round. */
export async function spoilAgain({ target }: DemoClusters): Promise<void> {
  await target.client.execute(`UPDATE ${KEYSPACE}.files SET status = 'SPOILT' WHERE system_domain_id = ${domainOf(8)} AND id = ${idOf(8)}`);
}

/** Rows that were loaded and are not on the target as they are on the source. Those of the application have a ledger of their own. */
export async function countDifferent({ source, target }: DemoClusters): Promise<number> {
  let different = 0;
  for (const query of [`SELECT system_domain_id, id, name, size, status, tags FROM ${KEYSPACE}.files`, `SELECT asset_id, sequence, chunk_id, size, owner FROM ${KEYSPACE}.media_chunks`]) {
    const rows = await readAll(source.client, query);
    const others = await readAll(target.client, query);
    for (const key of new Set([...rows.keys(), ...others.keys()])) if (rows.get(key) !== others.get(key)) different += 1;
  }
  return different;
}

async function readAll(client: cassandra.Client, query: string): Promise<ReadonlyMap<string, string>> {
  const rows = new Map<string, string>();
  // Page by page.
  for await (const row of await client.execute(query, [], { prepare: true, fetchSize: 2000 })) {
    const values = row.values().map(String);
    if (values[0] !== LIVE_DOMAIN) rows.set(values.slice(0, 2).join(' '), values.join('|'));
  }
  return rows;
}

/** The application's own part of `files`. */
export const LIVE_DOMAIN = uuidOf(9, 0);
