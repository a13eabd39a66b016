/**
 * A stream of random operations of all kinds that applications send: texts and prepared statements, with and without timestamps
 * and TTLs, collections, counters, lightweight transactions, batches, reads in pages. A seed gives the same stream again.
 *
 * Rows of last-write-wins tables are shared by all clients. Where the order of writes is the meaning (lists, counters,
 * transactions) a key belongs to one client, which waits for each answer, as an application that cares for the order does.
 */
import { int32, int64 } from '../support/cql/raw-client.ts';
import type { BatchChild, RawAnswer, RawClient, RequestOptions } from '../support/cql/raw-client.ts';
import { counted, countedMap } from '../support/cql/values.ts';
import type { Random } from '../soak/torture-random.ts';

const statements: readonly string[] = [
  "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
  'CREATE TYPE ks.address (street text, zip int)',
  'CREATE TABLE ks.kv (k int PRIMARY KEY, a text, b int, c blob, t timeuuid, u uuid)',
  'CREATE TABLE ks.wide (k int, c int, s text static, v text, w int, m map<text, int>, st set<int>, f frozen<list<int>>, ad address, PRIMARY KEY (k, c)) WITH CLUSTERING ORDER BY (c DESC)',
  'CREATE TABLE ks."QuotedTable" ("K" int PRIMARY KEY, "V v" text)',
  'CREATE TABLE ks.expiring (k int PRIMARY KEY, v text) WITH default_time_to_live = 86400',
  'CREATE TABLE ks.composite (a int, b text, c int, v text, PRIMARY KEY ((a, b), c))',
  'CREATE TABLE ks.lists (k int PRIMARY KEY, l list<int>)',
  'CREATE TABLE ks.counts (k int, c text, n counter, PRIMARY KEY (k, c))',
  'CREATE TABLE ks.lwt (k int PRIMARY KEY, v int, w text)',
];

/** The statements that make the tables in this keyspace, and it. */
export function schemaOf(keyspace: string): readonly string[] {
  return statements.map((statement) => statement.replace(/\bks\b/, keyspace));
}

/** Tables whose writes cannot be repeated, or whose timestamps are the clusters' own. */
export const unrepeatable: ReadonlySet<string> = new Set(['lists', 'counts', 'lwt']);

/** What one client is: its own random numbers, prepared statements, and keys that nobody else writes. */
export interface Actor {
  readonly random: Random;
  readonly client: RawClient;
  readonly version: 3 | 4;
  readonly keyspace: string;
  /** It has said USE: its texts name no keyspace. */
  readonly isInKeyspace: boolean;
  readonly number: number;
  readonly count: number;
  readonly prepared: Map<string, Promise<Buffer>>;
}

export interface Operation {
  readonly name: string;
  readonly weight: number;
  readonly isWrite: boolean;
  run(actor: Actor): Promise<RawAnswer>;
}

const text = (value: string): Buffer => Buffer.from(value);
const ints = (...values: readonly number[]): Buffer => counted(values.map(int32));
const mapOf = (pairs: readonly (readonly [string, number])[]): Buffer => countedMap(pairs.flatMap(([key, value]) => [text(key), int32(value)]));

const KEYS = 40;
const keyOf = ({ random }: Actor): number => random.below(KEYS);
/** A key that is this client's alone. */
const ownKey = ({ random, number, count }: Actor): number => number + count * random.below(3);
const word = ({ random }: Actor): string => `${random.pick(['alpha', 'beta', 'gamma', "it''s", 'ünï', '$$', '? :x'])}${random.below(1000)}`;
const table = ({ isInKeyspace, keyspace }: Actor, name: string): string => (isInKeyspace ? name : `${keyspace}.${name}`);

/** Some clients give a timestamp in the frame, as drivers do, and some give one that is a little off. */
function times({ random }: Actor): RequestOptions {
  const traced = random.chance(0.03) ? { isTraced: true } : {};
  return random.chance(0.3) ? { ...traced, timestamp: BigInt(Date.now()) * 1000n + BigInt(random.below(2_000_000) - 1_000_000) } : traced;
}

function usingText({ random }: Actor): string {
  const timestamp = `TIMESTAMP ${BigInt(Date.now()) * 1000n + BigInt(random.below(1_000_000))}`;
  const ttl = `TTL ${3600 + random.below(1000)}`;
  return random.pick(['', '', '', ` USING ${timestamp}`, ` USING ${ttl}`, ` USING ${timestamp} AND ${ttl}`, ` USING ${ttl} AND ${timestamp}`]);
}

/** Executes by the id; an id that the proxy does not know is an error as any other. */
async function execute(actor: Actor, statement: string, values: readonly (Buffer | null | undefined)[], options: RequestOptions = times(actor)): Promise<RawAnswer> {
  let id = actor.prepared.get(statement);
  if (!id) {
    id = actor.client.prepare(statement);
    actor.prepared.set(statement, id);
    id.catch(() => actor.prepared.delete(statement));
  }
  return actor.client.execute(await id, { ...options, values });
}

/** Values that are not set there are from protocol 4 on. */
function optional({ random, version }: Actor, value: Buffer): Buffer | null | undefined {
  if (random.chance(0.15)) return null;
  return version >= 4 && random.chance(0.15) ? undefined : value;
}

const query = (actor: Actor, statement: string, options: RequestOptions = times(actor)): Promise<RawAnswer> => actor.client.query(statement, options);

const write = (name: string, weight: number, run: (actor: Actor) => Promise<RawAnswer>): Operation => ({ name, weight, isWrite: true, run });
const read = (name: string, weight: number, run: (actor: Actor) => Promise<RawAnswer>): Operation => ({ name, weight, isWrite: false, run });

async function batchChild(actor: Actor): Promise<BatchChild> {
  const { random } = actor;
  switch (random.below(4)) {
    case 0: return { text: `INSERT INTO ${table(actor, 'kv')} (k, a) VALUES (${keyOf(actor)}, '${word(actor)}')` };
    case 1: return { text: `UPDATE ${table(actor, 'wide')} SET w = ? WHERE k = ? AND c = ?`, values: [int32(random.below(100)), int32(keyOf(actor)), int32(random.below(5))] };
    case 2: return { text: `DELETE FROM ${table(actor, 'kv')} WHERE k = ${keyOf(actor)}` };
    default: {
      const statement = `INSERT INTO ${table(actor, 'wide')} (k, c, v) VALUES (?, ?, ?)`;
      const id = actor.prepared.get(statement) ?? actor.client.prepare(statement);
      actor.prepared.set(statement, id);
      id.catch(() => actor.prepared.delete(statement));
      return { id: await id, values: [int32(keyOf(actor)), int32(random.below(5)), text(word(actor))] };
    }
  }
}

/** All pages of a read; the last answer counts. */
async function paged(actor: Actor, statement: string, pageSize: number): Promise<RawAnswer> {
  let answer = await actor.client.query(statement, { pageSize });
  for (let pages = 0; answer.kind === 'rows' && answer.pagingState && pages < 20; pages += 1) answer = await actor.client.query(statement, { pageSize, pagingState: answer.pagingState });
  return answer;
}

export const operations: readonly Operation[] = [
  write('insert as text', 8, (actor) => query(actor, `INSERT INTO ${table(actor, 'kv')} (k, a, b) VALUES (${keyOf(actor)}, '${word(actor)}', ${actor.random.below(100)})${usingText(actor)}`)),
  write('insert prepared', 12, (actor) => execute(actor, `INSERT INTO ${table(actor, 'kv')} (k, a, b, c) VALUES (?, ?, ?, ?)`, [int32(keyOf(actor)), optional(actor, text(word(actor))), optional(actor, int32(actor.random.below(100))), optional(actor, Buffer.alloc(actor.random.below(200), 7))])),
  write('insert with markers as text', 3, (actor) => query(actor, `insert into ${table(actor, 'kv')} (k, a) -- why\n values (?, ?) /* ! */`, { ...times(actor), values: [int32(keyOf(actor)), text(word(actor))] })),
  write('values by name', 3, (actor) => query(actor, `INSERT INTO ${table(actor, 'kv')} (k, a) VALUES (:key, :"A b")`, { ...times(actor), names: ['A b', 'key'], values: [text(word(actor)), int32(keyOf(actor))] })),
  write('insert prepared with TTL', 4, (actor) => execute(actor, `INSERT INTO ${table(actor, 'kv')} (k, a) VALUES (?, ?) USING TTL ?`, [int32(keyOf(actor)), text(word(actor)), int32(3600 + actor.random.below(100))])),
  write('update prepared', 8, (actor) => execute(actor, `UPDATE ${table(actor, 'kv')} SET a = ?, b = ? WHERE k = ?`, [optional(actor, text(word(actor))), int32(actor.random.below(100)), int32(keyOf(actor))])),
  write('update with timestamp marker', 2, (actor) => execute(actor, `UPDATE ${table(actor, 'kv')} USING TIMESTAMP :ts SET b = :b WHERE k = :k`, [int64(BigInt(Date.now()) * 1000n), int32(actor.random.below(100)), int32(keyOf(actor))])),
  write('delete a row', 3, (actor) => query(actor, `DELETE FROM ${table(actor, 'kv')} WHERE k = ${keyOf(actor)}`)),
  write('delete columns', 3, (actor) => execute(actor, `DELETE a, c FROM ${table(actor, 'kv')} WHERE k = ?`, [int32(keyOf(actor))])),
  write('now and uuid as text', 3, (actor) => query(actor, `INSERT INTO ${table(actor, 'kv')} (k, t, u) VALUES (${keyOf(actor)}, now(), uuid())`)),
  write('now and uuid prepared', 3, (actor) => execute(actor, `UPDATE ${table(actor, 'kv')} SET t = now(), a = ?, u = uuid() WHERE k = ?`, [text(word(actor)), int32(keyOf(actor))])),
  write('quoted names', 2, (actor) => query(actor, `INSERT INTO ${table(actor, '"QuotedTable"')} ("K", "V v") VALUES (${keyOf(actor)}, '${word(actor)}')${usingText(actor)}`)),
  write('a table with a default TTL', 2, (actor) => execute(actor, `INSERT INTO ${table(actor, 'expiring')} (k, v) VALUES (?, ?)`, [int32(keyOf(actor)), text(word(actor))])),
  write('a composite key', 3, (actor) => execute(actor, `INSERT INTO ${table(actor, 'composite')} (a, b, c, v) VALUES (?, ?, ?, ?)`, [int32(actor.random.below(5)), text(`b${actor.random.below(5)}`), int32(actor.random.below(5)), text(word(actor))])),
  write('insert wide', 8, (actor) => execute(actor, `INSERT INTO ${table(actor, 'wide')} (k, c, v, w, f) VALUES (?, ?, ?, ?, ?)`, [int32(keyOf(actor)), int32(actor.random.below(5)), text(word(actor)), optional(actor, int32(5)), ints(1, actor.random.below(9))])),
  write('static', 3, (actor) => query(actor, `UPDATE ${table(actor, 'wide')}${usingText(actor)} SET s = '${word(actor)}' WHERE k = ${keyOf(actor)}`)),
  write('insert static only', 1, (actor) => execute(actor, `INSERT INTO ${table(actor, 'wide')} (k, s) VALUES (?, ?)`, [int32(keyOf(actor)), text(word(actor))])),
  write('delete a slice', 2, (actor) => query(actor, `DELETE FROM ${table(actor, 'wide')} WHERE k = ${keyOf(actor)} AND c >= ${actor.random.below(3)} AND c < ${2 + actor.random.below(3)}`)),
  write('delete a partition', 1, (actor) => execute(actor, `DELETE FROM ${table(actor, 'wide')} WHERE k = ?`, [int32(keyOf(actor))])),
  write('delete of several keys', 1, (actor) => query(actor, `DELETE v FROM ${table(actor, 'wide')} WHERE k IN (${keyOf(actor)}, ${keyOf(actor)}) AND c IN (1, 2)`)),
  write('map and set as text', 4, (actor) => query(actor, `UPDATE ${table(actor, 'wide')} SET m = m + {'${word(actor)}': 1}, st = st - {${actor.random.below(9)}} WHERE k = ${keyOf(actor)} AND c = ${actor.random.below(5)}`)),
  write('map prepared', 4, (actor) => execute(actor, `UPDATE ${table(actor, 'wide')} SET m = m + ?, st = ? WHERE k = ? AND c = ?`, [mapOf([['x', actor.random.below(9)], ['y', 2]]), ints(...[1, 2, 3].slice(actor.random.below(3))), int32(keyOf(actor)), int32(actor.random.below(5))])),
  write('a map element', 3, (actor) => execute(actor, `UPDATE ${table(actor, 'wide')} SET m[?] = ? WHERE k = ? AND c = ?`, [text(`x${actor.random.below(4)}`), int32(actor.random.below(9)), int32(keyOf(actor)), int32(actor.random.below(5))])),
  write('overwrite a map', 2, (actor) => query(actor, `UPDATE ${table(actor, 'wide')} SET m = {'x': ${actor.random.below(9)}, 'z': 3} WHERE k = ${keyOf(actor)} AND c = ${actor.random.below(5)}`)),
  write('delete a map element', 2, (actor) => query(actor, `DELETE m['x'], st[3] FROM ${table(actor, 'wide')} WHERE k = ${keyOf(actor)} AND c = ${actor.random.below(5)}`)),
  write('a user-defined type', 3, (actor) => query(actor, actor.random.chance(0.5) ? `UPDATE ${table(actor, 'wide')} SET ad.zip = ${actor.random.below(9)} WHERE k = ${keyOf(actor)} AND c = 1` : `INSERT INTO ${table(actor, 'wide')} (k, c, ad) VALUES (${keyOf(actor)}, 1, {street: '${word(actor)}', zip: 5})`)),
  write('append to a list', 4, (actor) => execute(actor, `UPDATE ${table(actor, 'lists')} SET l = l + ? WHERE k = ?`, [ints(actor.random.below(100)), int32(ownKey(actor))])),
  write('prepend to a list', 2, (actor) => query(actor, `UPDATE ${table(actor, 'lists')} SET l = [${actor.random.below(100)}, 7] + l WHERE k = ${ownKey(actor)}`)),
  write('overwrite a list', 3, (actor) => execute(actor, `INSERT INTO ${table(actor, 'lists')} (k, l) VALUES (?, ?)`, [int32(ownKey(actor)), ints(1, 2, actor.random.below(100))])),
  write('take from a list', 2, (actor) => query(actor, `UPDATE ${table(actor, 'lists')} SET l = l - [7, ${actor.random.below(100)}] WHERE k = ${ownKey(actor)}`)),
  write('count', 6, (actor) => execute(actor, `UPDATE ${table(actor, 'counts')} SET n = n + ? WHERE k = ? AND c = ?`, [int64(BigInt(actor.random.below(10) - 3)), int32(ownKey(actor)), text('c')])),
  write('count as text', 2, (actor) => query(actor, `UPDATE ${table(actor, 'counts')} SET n = n - ${actor.random.below(5)} WHERE k = ${ownKey(actor)} AND c = 'd'`)),
  write('counter batch', 2, async (actor) => actor.client.batch('counter', [{ text: `UPDATE ${table(actor, 'counts')} SET n = n + 1 WHERE k = ${ownKey(actor)} AND c = 'c'` }, { text: `UPDATE ${table(actor, 'counts')} SET n += 2 WHERE k = ${ownKey(actor)} AND c = 'e'` }])),
  write('insert if not exists', 4, (actor) => execute(actor, `INSERT INTO ${table(actor, 'lwt')} (k, v) VALUES (?, ?) IF NOT EXISTS`, [int32(ownKey(actor)), int32(0)], {})),
  write('update if', 4, (actor) => query(actor, `UPDATE ${table(actor, 'lwt')} SET v = ${actor.random.below(4)}, w = '${word(actor)}' WHERE k = ${ownKey(actor)} IF v = ${actor.random.below(4)}`, {})),
  write('delete if exists', 1, (actor) => query(actor, `DELETE FROM ${table(actor, 'lwt')} WHERE k = ${ownKey(actor)} IF EXISTS`, {})),
  write('conditional batch', 1, (actor) => {
    const key = ownKey(actor);
    return query(actor, `BEGIN BATCH UPDATE ${table(actor, 'lwt')} SET v = 3 WHERE k = ${key} IF v = ${actor.random.below(4)}; UPDATE ${table(actor, 'lwt')} SET w = '${word(actor)}' WHERE k = ${key}; APPLY BATCH`, {});
  }),
  write('batch of the protocol', 6, async (actor) => {
    const children = await Promise.all(Array.from({ length: 1 + actor.random.below(5) }, () => batchChild(actor)));
    return actor.client.batch(actor.random.pick(['logged', 'unlogged'] as const), children, times(actor));
  }),
  write('batch as text', 3, (actor) => query(actor, `BEGIN ${actor.random.pick(['', 'UNLOGGED '])}BATCH INSERT INTO ${table(actor, 'kv')} (k, a) VALUES (${keyOf(actor)}, '${word(actor)}')${actor.random.pick(['', ' USING TTL 4000'])}; DELETE b FROM ${table(actor, 'kv')} WHERE k = ${keyOf(actor)}; UPDATE ${table(actor, 'wide')} SET w = ? WHERE k = ${keyOf(actor)} AND c = 0; APPLY BATCH`, { ...times(actor), values: [int32(4)] })),
  read('read a row', 6, (actor) => query(actor, `SELECT * FROM ${table(actor, 'kv')} WHERE k = ${keyOf(actor)}`, {})),
  read('read prepared', 6, (actor) => execute(actor, `SELECT a, writetime(a), ttl(a) FROM ${table(actor, 'kv')} WHERE k = ?`, [int32(keyOf(actor))], {})),
  read('read a partition in pages', 2, (actor) => paged(actor, `SELECT c, v, m, ad FROM ${table(actor, 'wide')} WHERE k = ${keyOf(actor)}`, 2)),
  read('read a table in pages', 1, (actor) => paged(actor, `SELECT token(k), k, c FROM ${table(actor, 'wide')}`, 40)),
  read('read the cluster', 1, (actor) => query(actor, actor.random.pick(["SELECT * FROM system.local WHERE key = 'local'", 'SELECT peer, rack FROM system.peers', 'SELECT * FROM system_schema.tables']), {})),
];

/** Statements that no cluster takes: each is an error for the client, and nothing of it may be left anywhere. */
export function refusedIn(keyspace: string): readonly string[] {
  const kv = `${keyspace}.kv`;
  return [`INSERT INTO ${keyspace}.nothing (k) VALUES (1)`, `UPDATE ${kv} SET nothing = 1 WHERE k = 1`, `INSERT INTO ${kv} (a) VALUES (1)`, 'THIS IS NO CQL', `INSERT INTO ${kv} (k) VALUES ('one')`, `SELECT nothing FROM ${kv}`];
}

const weights = operations.reduce((sum, { weight }) => sum + weight, 0);

export function pickOperation(random: Random): Operation {
  let at = random.next() * weights;
  for (const operation of operations) {
    at -= operation.weight;
    if (at < 0) return operation;
  }
  return random.pick(operations);
}
