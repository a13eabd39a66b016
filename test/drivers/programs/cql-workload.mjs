/**
 * The Node driver at work on a Cassandra cluster: `name => what came`, a line for each check. Arguments: host, port, keyspace to make, data centre.
 * A line that begins with `?` asks for something to be done before the next line of input.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import cassandra from 'cassandra-driver';

const { types, policies, concurrent, mapping } = cassandra;
const [host, port, ks, localDataCenter, ca, user, password] = process.argv.slice(2);
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
let checks = 0;

function plain(value) {
  if (value === undefined) return 'undefined';
  if (Buffer.isBuffer(value)) return `0x${value.toString('hex').slice(0, 100)}`;
  if (value instanceof Date) return `Date ${value.toISOString()}`;
  if (value instanceof types.ResultSet) return value.rows === undefined ? 'void' : plain(value.rows.map((row) => ({ ...row })));
  if (value instanceof types.Tuple) return `(${value.values().map(plain).join(', ')})`;
  if (Array.isArray(value)) return `[${value.map(plain).join(', ')}]`;
  if (value instanceof Float32Array || value?.constructor?.name === 'Vector') return `<${[...value].join(', ')}>`;
  if (value !== null && typeof value === 'object') {
    if (value instanceof types.Row || Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null) return `{${Object.entries(value).map(([name, each]) => `${name}: ${plain(each)}`).join(', ')}}`;
    return `${value.constructor.name} ${String(value)}`;
  }
  return Object.is(value, -0) ? '-0' : typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : String(value);
}

function message(error) {
  if (error instanceof Error && error.innerErrors) return `NoHostAvailable: ${Object.values(error.innerErrors).map(message).join('; ')}`;
  return `${error.name} ${error.code ?? ''}: ${error.message}`;
}

async function check(name, act) {
  let text;
  try {
    const came = await act();
    text = typeof came === 'string' ? came.slice(0, 2000) : plain(came);
  } catch (error) {
    text = message(error);
  }
  checks += 1;
  console.log(`${name} => ${text}`.replaceAll('\n', ' | '));
}

async function ask(what) {
  console.log(`? ${what}`);
  await input.next();
}

const made = (options = {}) => new cassandra.Client({
  contactPoints: [`${host}:${port}`], localDataCenter, pooling: { coreConnectionsPerHost: { [types.distance.local]: 2 } }, socketOptions: { readTimeout: 60_000, connectTimeout: 60_000 },
  policies: { reconnection: new policies.reconnection.ConstantReconnectionPolicy(200) }, protocolOptions: { maxSchemaAgreementWaitSeconds: 60 }, queryOptions: { prepare: true }, ...options,
});

/** Over TLS, with a name and a password, and with those that are refused. */
async function logIn() {
  const sslOptions = { ca: [readFileSync(ca)], checkServerIdentity: () => undefined };
  const as = (secret) => new cassandra.auth.PlainTextAuthProvider(user, secret);
  for (const [name, options] of [['right', { sslOptions, authProvider: as(password) }], ['wrong', { sslOptions, authProvider: as('wrong') }], ['nobody', { sslOptions }], ['plain', { authProvider: as(password), socketOptions: { connectTimeout: 2000, readTimeout: 2000 } }]]) {
    const session = made(options);
    try {
      await session.execute(`INSERT INTO ${ks}.t (k, v) VALUES (?, ?)`, [1, name]);
      console.log(`${name} => ${(await session.execute(`SELECT v FROM ${ks}.t WHERE k = ?`, [1])).first().v}`);
    } catch (error) {
      console.log(`${name} => refused ${message(error)}`);
    }
    // Not ended: after a refusal that takes seconds.
  }
  process.exit(0);
}
if (ca !== undefined) await logIn();

const client = made();
await check('connects', () => client.connect());
await check('hosts', () => client.hosts.values().map((each) => [each.address, each.datacenter, each.isUp(), each.cassandraVersion, each.tokens.length > 0]));
await check('protocol', () => client.controlConnection.protocolVersion <= 5);
await check('peers', () => client.execute('SELECT * FROM system.peers', [], { prepare: false }));
await check('local', () => client.execute("SELECT key, data_center, partitioner FROM system.local WHERE key = 'local'", [], { prepare: false }));
await check('local, prepared', () => client.execute('SELECT key, bootstrapped FROM system.local WHERE key = ?', ['local']));

const define = (text) => client.execute(text, [], { prepare: false });
await check('create keyspace', () => define(`CREATE KEYSPACE ${ks} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`));
await check('use', () => define(`USE ${ks}`));
await check('keyspace in use', () => client.keyspace === ks);
for (const [name, text] of [
  ['address', 'CREATE TYPE address (street text, zip int, phones frozen<set<text>>)'],
  ['scalars', 'CREATE TABLE scalars (k int PRIMARY KEY, a ascii, b bigint, bl blob, bo boolean, da date, de decimal, d double, du duration, f float, ip inet, i int, si smallint, t text, ti time, ts timestamp, tu timeuuid, tiny tinyint, u uuid, vc varchar, vi varint)'],
  ['nested', 'CREATE TABLE nested (k int PRIMARY KEY, l list<int>, s set<text>, m map<text, int>, fl frozen<list<text>>, fm frozen<map<int, frozen<set<int>>>>, tp tuple<int, text, boolean>, ad address, fad frozen<address>, lad list<frozen<address>>, v vector<float, 3>)'],
  ['wide', 'CREATE TABLE wide (k int, c int, v text, st text static, PRIMARY KEY (k, c))'],
  ['counts', 'CREATE TABLE counts (k int PRIMARY KEY, n counter)'],
  ['cond', 'CREATE TABLE cond (k int PRIMARY KEY, v text, w int)'],
  ['many', 'CREATE TABLE many (k int PRIMARY KEY, v text)'],
]) await check(`create ${name}`, () => define(text));
await check('already there', () => define('CREATE TABLE many (k int PRIMARY KEY)'));
await check('table known', async () => {
  const table = await client.metadata.getTable(ks, 'wide');
  return [table.columns.map(({ name }) => name), table.partitionKeys.map(({ name }) => name), table.clusteringKeys.map(({ name }) => name)];
});
await check('type known', async () => (await client.metadata.getUdt(ks, 'address')).fields.map(({ name }) => name));
await check('keyspace known', async () => [(await client.metadata.refreshKeyspaces(), client.metadata.keyspaces[ks].strategy), client.metadata.getReplicas(ks, Buffer.from([0, 0, 0, 1])).length]);
await check('schema agreement', () => client.metadata.checkSchemaAgreement());
await check('events of definitions', async () => {
  const other = made();
  await other.connect();
  await client.metadata.getTable(ks, 'many');
  await other.execute(`ALTER TABLE ${ks}.many ADD added int`, [], { prepare: false });
  for (const deadline = Date.now() + 30_000; ; await delay(20)) {
    const { columns } = await client.metadata.getTable(ks, 'many');
    if (columns.length === 3 || Date.now() > deadline) {
      await other.shutdown();
      return columns.map(({ name }) => name);
    }
  }
});

// Every type, both ways.
const scalars = {
  a: ['', 'ascii'], b: [types.Long.fromString('-9223372036854775808'), types.Long.fromString('9223372036854775807')], bl: [Buffer.alloc(0), Buffer.from([0, 255, 1])], bo: [true, false],
  da: [types.LocalDate.fromString('1969-12-31'), types.LocalDate.fromString('2024-02-29')], de: [types.BigDecimal.fromString('-1.50'), types.BigDecimal.fromString('0.000000000000000000000000000001')], d: [1.5e300, Infinity, -0],
  du: [types.Duration.fromString('1mo2d3ns'), types.Duration.fromString('-12mo400d')], f: [1.5, -Infinity], ip: [types.InetAddress.fromString('10.1.2.3'), types.InetAddress.fromString('2001:db8::1')], i: [-2147483648, 2147483647],
  si: [-32768, 32767], t: ['', 'ü€𝄞', 'x'.repeat(100_000)], ti: [types.LocalTime.fromString('00:00:00'), types.LocalTime.fromString('23:59:59.999999999')], ts: [new Date('2024-02-29T23:59:59.999Z'), new Date(-1)],
  tu: [types.TimeUuid.fromString('a0d8e6c0-5f0a-11ee-8c99-0242ac120002')], tiny: [-128, 127], u: [types.Uuid.fromString('00000000-0000-0000-0000-000000000001')], vc: ["it's"], vi: [types.Integer.fromString('-1606938044258990275541962092341162602522202993782792835301376'), types.Integer.fromInt(0)],
};
let k = 0;
for (const [column, values] of Object.entries(scalars)) {
  for (const value of [...values, null]) {
    k += 1;
    await check(`${column} ${plain(value)}`.slice(0, 60), async () => {
      await client.execute(`INSERT INTO scalars (k, ${column}) VALUES (?, ?)`, [k, value]);
      return (await client.execute(`SELECT ${column} FROM scalars WHERE k = ?`, [k])).first()[column];
    });
  }
}
const nested = [
  ['l', [3, 1, 3]], ['l', []], ['s', ['a', 'ü', '']], ['m', { a: 1, b: -1 }], ['fl', ['a', 'b', 'a']], ['fm', { 1: [1, 2] }], ['tp', new types.Tuple(1, 'x', null)], ['ad', { street: 'st', zip: 5, phones: ['1', '2'] }],
  ['ad', { street: null, zip: 7, phones: null }], ['fad', { street: 'frozen', zip: null, phones: [] }], ['lad', [{ street: 'a', zip: 1, phones: null }]], ['v', new types.Vector([1.5, -2, 0.25])], ['m', null],
];
for (const [column, value] of nested) {
  k += 1;
  await check(`${column} ${plain(value)}`.slice(0, 60), async () => {
    await client.execute(`INSERT INTO nested (k, ${column}) VALUES (?, ?)`, [k, value], { hints: [] });
    const came = (await client.execute(`SELECT ${column} FROM nested WHERE k = ?`, [k])).first()[column];
    return came;
  });
}
for (const [name, text, values] of [
  ['list', 'UPDATE nested SET l = ? WHERE k = 1000', [[1, 2]]], ['append', 'UPDATE nested SET l = l + ? WHERE k = 1000', [[3]]], ['prepend', 'UPDATE nested SET l = ? + l WHERE k = 1000', [[0]]], ['element', 'UPDATE nested SET l[?] = ? WHERE k = 1000', [1, 11]],
  ['element deleted', 'DELETE l[?] FROM nested WHERE k = 1000', [0]], ['set more', 'UPDATE nested SET s = s + ? WHERE k = 1000', [['q', 'r']]], ['set less', 'UPDATE nested SET s = s - ? WHERE k = 1000', [['q']]],
  ['map put', 'UPDATE nested SET m[?] = ? WHERE k = 1000', ['z', 9]], ['map less', 'UPDATE nested SET m = m - ? WHERE k = 1000', [['z']]], ['field', 'UPDATE nested SET ad.zip = ? WHERE k = 1000', [12]],
]) await check(name, async () => plain([await client.execute(text, values), (await client.execute('SELECT l, s, m, ad FROM nested WHERE k = 1000')).first()]));
await check('simple with hints', () => client.execute('INSERT INTO wide (k, c, v) VALUES (?, ?, ?)', [900, 1, 'hinted'], { prepare: false, hints: ['int', 'int', 'text'] }));
await check('named', () => client.execute('SELECT v FROM wide WHERE k = :key AND c = :row', { key: 900, row: 1 }));
await check('named, not prepared', () => client.execute('SELECT v FROM wide WHERE k = :key AND c = :row', { key: 900, row: 1 }, { prepare: false, hints: { key: 'int', row: 'int' } }));
await check('json', () => client.execute('SELECT JSON k, l FROM nested WHERE k = 1000'));

// Null and unset, TTL and timestamps.
const put = 'INSERT INTO wide (k, c, v) VALUES (?, ?, ?)';
const get = 'SELECT v, WRITETIME(v) AS at, TTL(v) AS ttl FROM wide WHERE k = ? AND c = ?';
await check('with a time to live', async () => {
  await client.execute('INSERT INTO wide (k, c, v) VALUES (?, ?, ?) USING TTL ? AND TIMESTAMP ?', [1, 1, 'ttl', 3600, types.Long.fromNumber(1234567)]);
  const { v, at, ttl } = (await client.execute(get, [1, 1])).first();
  return [v, at, ttl > 3400 && ttl <= 3600];
});
await check('unset leaves it', async () => (await client.execute(put, [1, 1, types.unset]), (await client.execute(get, [1, 1])).first().v));
await check('null deletes it', async () => (await client.execute(put, [1, 1, null]), (await client.execute(get, [1, 1])).first().v));
await check('a timestamp of the request', async () => (await client.execute(put, [1, 2, 'timed'], { timestamp: types.Long.fromNumber(777) }), (await client.execute(get, [1, 2])).first().at));
await check('without a timestamp', async () => {
  const other = made({ keyspace: ks, policies: { timestampGeneration: null } });
  for (let n = 0; n < 10; n += 1) await other.execute(put, [1, 3, `v${n}`]);
  await other.shutdown();
  const { v, at } = (await client.execute(get, [1, 3])).first();
  return [v, Math.abs(Number(at) / 1000 - Date.now()) < 120_000];
});
await check('static', async () => (await define("UPDATE wide SET st = 'static' WHERE k = 1"), await client.execute('SELECT k, c, st FROM wide WHERE k = 1')));

// Batches, counters, conditions.
for (const logged of [true, false]) await check(`batch ${logged}`, async () => plain([await client.batch([{ query: put, params: [10, 1, 'one'] }, { query: put, params: [10, 2, 'two'] }], { prepare: true, logged }), await client.execute('SELECT c, v FROM wide WHERE k = 10')]));
await check('batch of texts', async () => plain([await client.batch(["INSERT INTO wide (k, c, v) VALUES (11, 1, 'a')", { query: put, params: [11, 2, 'b'] }], { prepare: false, hints: [null, ['int', 'int', 'text']] }), await client.execute('SELECT c, v FROM wide WHERE k = 11')]));
await check('counter batch', async () => plain([await client.batch([1, 2, -5].map((n) => ({ query: 'UPDATE counts SET n = n + ? WHERE k = 1', params: [types.Long.fromNumber(n)] })), { prepare: true, counter: true }), await client.execute('SELECT n FROM counts WHERE k = 1')]));
await check('counter', async () => plain([await client.execute('UPDATE counts SET n = n + ? WHERE k = 2', [types.Long.fromNumber(40)]), await client.execute('SELECT n FROM counts WHERE k = 2')]));
await check('warnings', async () => (await client.batch(Array.from({ length: 12 }, (_, each) => ({ query: put, params: [100 + each, 1, 'warned'] })), { prepare: true, logged: false })).info.warnings?.join());
await check('payload', async () => (await client.execute(get, [10, 1], { customPayload: { name: Buffer.from('value') } })).info.customPayload);
for (const [name, text, values] of [
  ['insert', 'INSERT INTO cond (k, v, w) VALUES (?, ?, ?) IF NOT EXISTS', [1, 'a', 1]], ['insert again', 'INSERT INTO cond (k, v, w) VALUES (?, ?, ?) IF NOT EXISTS', [1, 'b', 2]], ['update', 'UPDATE cond SET v = ? WHERE k = ? IF v = ?', ['c', 1, 'a']],
  ['update, no', 'UPDATE cond SET v = ? WHERE k = ? IF v = ?', ['d', 1, 'a']], ['delete', 'DELETE FROM cond WHERE k = ? IF EXISTS', [9]],
]) await check(`conditional: ${name}`, async () => { const result = await client.execute(text, values); return plain([result.wasApplied(), result]); });
await check('serial read', () => client.execute('SELECT * FROM cond WHERE k = ?', [1], { consistency: types.consistencies.serial }));
await check('conditional batch', async () => plain((await client.batch([{ query: 'INSERT INTO cond (k, v) VALUES (?, ?) IF NOT EXISTS', params: [2, 'x'] }, { query: 'UPDATE cond SET w = ? WHERE k = ?', params: [3, 2] }], { prepare: true })).wasApplied()));

// Pages.
await concurrent.executeConcurrent(client, put, Array.from({ length: 157 }, (_, c) => [50, c, `row ${c}`]), { prepare: true });
const pages = 'SELECT c FROM wide WHERE k = 50';
const first = await client.execute(pages, [], { fetchSize: 10 });
await check('first page', () => [first.rows.length, first.pageState !== null]);
await check('from a state', async () => (await client.execute(pages, [], { fetchSize: 10, pageState: first.pageState })).rows.map(({ c }) => c));
const streamed = async (fetchSize) => {
  let [count, sum] = [0, 0];
  for await (const { c } of client.stream(pages, [], { fetchSize, autoPage: true })) [count, sum] = [count + 1, sum + c];
  return [count, sum];
};
await check('stream of pages', () => streamed(7));
await check('pages by iteration', async () => { let count = 0; for await (const row of await client.execute(pages, [], { fetchSize: 20 })) count += row.c >= 0 ? 1 : 0; return count; });
await check('each row', () => new Promise((resolve, reject) => { let count = 0; client.eachRow(pages, [], { prepare: true, fetchSize: 33, autoPage: true }, () => { count += 1; }, (error) => (error ? reject(error) : resolve(count))); }));

// Errors.
for (const [name, text, options] of [
  ['syntax', 'SELEC 1', { prepare: false }], ['no table', 'SELECT * FROM nothing', {}], ['no keyspace', 'SELECT * FROM nowhere.nothing', { prepare: false }], ['no column', 'SELECT nothing FROM wide', {}], ['filtering', 'SELECT * FROM wide WHERE c = 1', { prepare: false }],
  ['use', 'USE nowhere_at_all', { prepare: false }], ['unavailable', 'SELECT * FROM wide WHERE k = 1', { consistency: types.consistencies.three }], ['unavailable to write', "INSERT INTO wide (k, c, v) VALUES (1, 1, 'x')", { consistency: types.consistencies.two }],
]) await check(`error: ${name}`, () => client.execute(text, [], options));
await check('error: value', () => client.execute('INSERT INTO wide (k, c, v) VALUES (?, ?, ?)', [1, 'x', 'y'], { prepare: false, hints: ['int', 'text', 'text'] }));
await check('trace', async () => {
  const { info } = await client.execute(get, [10, 1], { traceQuery: true });
  const trace = await client.metadata.getTrace(info.traceId);
  return [trace.requestType, trace.events.length > 0];
});
const mapper = new mapping.Mapper(client, { models: { Cond: { tables: ['cond'], keyspace: ks } } }).forModel('Cond');
await check('mapper', async () => { await mapper.insert({ k: 20, v: 'mapped', w: 1 }); await mapper.update({ k: 20, w: 2 }); return plain({ ...(await mapper.get({ k: 20 })) }); });

await ask('half');
await check('after the switch: pages go on', async () => (await client.execute(pages, [], { fetchSize: 10, pageState: first.pageState })).rows.map(({ c }) => c));
await check('after the switch: stream of pages', () => streamed(7));
await check('after the switch: prepared before', async () => (await client.execute(put, [60, 1, 'after']), (await client.execute(get, [60, 1])).first().v));
await check('after the switch: rows from before', () => client.execute('SELECT c, v FROM wide WHERE k = 10'));
await check('after the switch: counter', async () => plain([await client.execute('UPDATE counts SET n = n + ? WHERE k = 2', [types.Long.fromNumber(2)]), await client.execute('SELECT n FROM counts WHERE k = 2')]));
await check('after the switch: conditional', () => client.execute('INSERT INTO cond (k, v, w) VALUES (?, ?, ?) IF NOT EXISTS', [1, 'no', 1]));
await check('after the switch: batch', async () => plain([await client.batch([{ query: put, params: [61, 1, 'one'] }, { query: put, params: [61, 2, 'two'] }], { prepare: true }), await client.execute('SELECT c, v FROM wide WHERE k = 61')]));
await check('after the switch: scalars', async () => (await client.execute('SELECT * FROM scalars')).rows.length);
await check('after the switch: nested', async () => (await client.execute('SELECT k, l, s, m, ad, lad FROM nested WHERE k = 1000')).first());
await check('after the switch: definitions', async () => plain([await define('CREATE TABLE later (k int PRIMARY KEY)'), (await client.metadata.getTable(ks, 'later'))?.name, await define('DROP TABLE later')]));

await ask('restart');
await check('after a restart', async () => {
  for (const deadline = Date.now() + 60_000; ; await delay(50)) {
    try {
      return (await client.execute(get, [60, 1])).first().v;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
});
await check('after a restart: prepared before', async () => (await client.execute(put, [62, 1, 'again'], { isIdempotent: true }), (await client.execute(get, [62, 1])).first().v));
await check('after a restart: a batch of prepared', async () => plain([await client.batch([{ query: put, params: [63, 1, 'a'] }, { query: put, params: [63, 2, 'b'] }], { prepare: true }), (await client.execute('SELECT c FROM wide WHERE k = 63')).rows.length]));
await check('two thousand at once', async () => {
  const { errors } = await concurrent.executeConcurrent(client, 'INSERT INTO many (k, v) VALUES (?, ?)', Array.from({ length: 2000 }, (_, each) => [each, 'v'.repeat(each % 300)]), { concurrencyLevel: 1000, collectResults: false });
  return plain([errors.length, await client.execute('SELECT count(*) FROM many')]);
});
await check('speculative executions', async () => {
  const other = made({ keyspace: ks, policies: { speculativeExecution: new policies.speculativeExecution.ConstantSpeculativeExecutionPolicy(5, 2) } });
  for (let each = 0; each < 50; each += 1) await other.execute('INSERT INTO many (k, v) VALUES (?, ?)', [5000 + each, 'speculative'], { isIdempotent: true });
  await other.shutdown();
  return plain(await client.execute('SELECT count(*) FROM many'));
});
await check('protocol 3', async () => {
  const other = made({ keyspace: ks, protocolOptions: { maxVersion: 3 } });
  await other.execute('INSERT INTO many (k, v) VALUES (?, ?)', [9000, 'version 3']);
  const result = await other.execute('SELECT v FROM many WHERE k = ?', [9000]);
  await other.shutdown();
  return plain(result);
});
await client.shutdown();
console.log(`checks => ${checks}`);
process.exit(0);
