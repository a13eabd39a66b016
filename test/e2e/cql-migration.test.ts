/**
 * A Cassandra cluster is moved as an operator moves it, by the commands and the documents' own files, while an application writes through the proxy: DualAsync, load, validate, break, repair,
 * DualSync, ShadowPrimary, TargetOnly. At the end the target has every acknowledged write, and the application has had no error.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import cassandra from 'cassandra-driver';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { runProgram } from '../drivers/run-program.ts';
import type { Ended } from '../drivers/run-program.ts';
import { describeCassandra, sharedCassandra } from '../support/cassandra-servers.ts';
import type { TestCassandraClients } from '../support/cassandra-servers.ts';
import { freePort } from '../support/postgres.ts';

const main = path.resolve(import.meta.dirname, '../../src/main/main.ts');
const LOADED = 3_000;
const KEYS = 400;

/** Writes, changes and deletes its own keys one after the other, and remembers what was acknowledged. */
class Writer {
  /** Undefined: deleted. */
  readonly acknowledged = new Map<number, string | undefined>();
  readonly errors: string[] = [];
  writes = 0;
  #isOver = false;
  readonly #run: Promise<void>;

  constructor(client: cassandra.Client, keyspace: string) {
    const run = async (sql: string, values: readonly unknown[]): Promise<void> => void (await client.execute(sql.replace('ks.', `${keyspace}.`), [...values], { prepare: true }));
    this.#run = (async () => {
      for (let n = 0; !this.#isOver; n += 1) {
        const key = 1_000_000 + ((n * 7919) % KEYS);
        const value = `value ${n}`;
        try {
          if (n % 11 === 10) await run('DELETE FROM ks.item WHERE shelf = ? AND id = ?', [key % 5, key]);
          else if (n % 3 === 0) await run('UPDATE ks.item SET name = ?, tags = tags + ? WHERE shelf = ? AND id = ?', [value, [`tag${n % 4}`], key % 5, key]);
          else await run('INSERT INTO ks.item (shelf, id, name) VALUES (?, ?, ?)', [key % 5, key, value]);
          this.acknowledged.set(key, n % 11 === 10 ? undefined : value);
          this.writes += 1;
        } catch (error) {
          this.errors.push(String(error));
        }
      }
    })();
  }

  async goesOn(): Promise<void> {
    const before = this.writes;
    await expect.poll(() => this.writes, { timeout: 30_000 }).toBeGreaterThan(before + 50);
    expect(this.errors).toEqual([]);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#run;
  }
}

describeCassandra('a cluster is moved by the commands', () => {
  let source: TestCassandraClients;
  let target: TestCassandraClients;
  let keyspace: string;
  let folder: string;
  let proxy: ChildProcess;
  let httpPort: number;
  let application: cassandra.Client;
  let writer: Writer;

  beforeAll(async () => {
    [source, target] = await Promise.all([sharedCassandra('source'), sharedCassandra('target')]);
    keyspace = await source.createKeyspace('moved');
    await target.cql(`CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`);
    for (const side of [source, target]) await side.cql(`CREATE TABLE ${keyspace}.item (shelf int, id int, name text, tags set<text>, PRIMARY KEY (shelf, id))`);
    await target.cql(`CREATE INDEX item_name ON ${keyspace}.item (name)`);
    const client = await source.client();
    for (let id = 0; id < LOADED; id += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, at) => client.execute(`INSERT INTO ${keyspace}.item (shelf, id, name, tags) VALUES (?, ?, ?, ?)${(id + at) % 3 === 0 ? ' USING TTL 86400' : ''}`, [(id + at) % 5, id + at, `item ${id + at}`, ['old']], { prepare: true })));
    }
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-cql-'));
    const cluster = ({ address: { host, port } }: TestCassandraClients): object => ({ driver: 'cassandra', hosts: [host], port, keyspace });
    const write = (name: string, settings: object): void => fs.writeFileSync(path.join(folder, name), stringify({ source: cluster(source), target: cluster(target), ...settings }));
    write('dual-writer.yaml', { writer: { mode: 'PrimaryOnly', shadow_timeout_ms: 3000, retry_interval_secs: 1 } });
    write('sstable-loader.yaml', { loader: { tables: [{ name: 'item', partition_key: ['shelf'] }], page_size: 500 } });
    write('dual-reader.yaml', { reader: { tables: ['item'], batch_size: 500 } });
    fs.writeFileSync(path.join(folder, 'indexes.yaml'), stringify([{ keyspace, table: 'item', index_name: 'item_name', column_name: 'name' }]));
    const port = await freePort();
    httpPort = await freePort();
    proxy = spawn(process.execPath, [main, 'cql-proxy', '--config', path.join(folder, 'dual-writer.yaml'), '--port', String(port), '--http-port', String(httpPort), '--state-directory', path.join(folder, 'proxy'), '--log-format', 'json'], { stdio: ['ignore', 'ignore', fs.openSync(path.join(folder, 'proxy.log'), 'w')] });
    while (!(await fetch(`http://127.0.0.1:${httpPort}/health`).then(({ ok }) => ok, () => false))) {
      if (proxy.exitCode !== null) throw new Error(fs.readFileSync(path.join(folder, 'proxy.log'), 'utf8'));
      await delay(50);
    }
    application = new cassandra.Client({ contactPoints: [`127.0.0.1:${port}`], localDataCenter: source.address.datacenter });
    await application.connect();
    writer = new Writer(application, keyspace);
  }, 300_000);

  afterAll(async () => {
    await writer?.stop();
    await application?.shutdown();
    if (proxy?.exitCode === null) {
      proxy.kill('SIGTERM');
      await once(proxy, 'exit');
    }
    await Promise.all([source, target].map(async (side) => {
      if (keyspace !== undefined) await side?.cql(`DROP KEYSPACE ${keyspace}`);
      await side?.[Symbol.asyncDispose]();
    }));
    if (folder !== undefined) fs.rmSync(folder, { recursive: true, force: true });
  });

  const command = (name: string, file: string, ...more: readonly string[]): Promise<Ended> =>
    runProgram(process.execPath, [main, 'cql-proxy', name, '--config', path.join(folder, file), '--state-directory', path.join(folder, name), ...more], { limitMs: 100_000 });
  const proxyUrl = (): string => `http://127.0.0.1:${httpPort}`;

  /** Refused while writes are on their way to the other cluster: asked again. */
  async function mode(name: string): Promise<void> {
    const ask = async (): Promise<string> => {
      const response = await fetch(`http://127.0.0.1:${httpPort}/config/mode`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ mode: name }) });
      return response.status === 200 ? 'switched' : `${response.status} ${await response.text()}`;
    };
    await expect.poll(ask, { timeout: 30_000, interval: 50 }).toBe('switched');
    await writer.goesOn();
  }

  it('loads what was there while both are written, and drops and builds its index', async () => {
    await writer.goesOn();
    await mode('DualAsync');
    const ended = await command('load', 'sstable-loader.yaml', '--indexes', path.join(folder, 'indexes.yaml'));
    expect(ended, ended.output + ended.errors).toMatchObject({ code: 0, errors: '' });
    expect(ended.output).toMatch(/1 indexes of the target dropped.*100\.0 %.*: done, .*index item_name .* is built/s);
    await writer.goesOn();
    // What is done stays done.
    const again = await command('load', 'sstable-loader.yaml');
    expect(again, again.output + again.errors).toMatchObject({ code: 0 });
  }, 240_000);

  it('proves that both hold the same under writes, and names what does not', async () => {
    const clean = await command('validate', 'dual-reader.yaml');
    expect(clean, clean.output + clean.errors).toMatchObject({ code: 0, errors: '' });
    expect(clean.output).toContain('FullScan: passed');
    await source.cql(`INSERT INTO ${keyspace}.item (shelf, id, name) VALUES (1, 2000001, 'past the proxy')`);
    await target.cql(`UPDATE ${keyspace}.item SET name = 'spoilt' WHERE shelf = 2 AND id = 2`);
    await target.cql(`INSERT INTO ${keyspace}.item (shelf, id, name) VALUES (3, 2000003, 'of the target')`);
    const report = path.join(folder, 'report.json');
    const broken = await command('validate', 'dual-reader.yaml', '--report', report, '--proxy', proxyUrl());
    expect(broken.code, broken.output + broken.errors).toBe(1);
    const { counts, rowsDifferent } = JSON.parse(fs.readFileSync(report, 'utf8')) as { counts: Record<string, number>; rowsDifferent: number };
    expect({ counts, rowsDifferent }).toMatchObject({ rowsDifferent: 3, counts: { MissingInTarget: 1, ValueMismatch: 1, MissingInSource: 1 } });
    expect(broken.output).toContain(`a switch is refused for ${keyspace}.item`);
    const switched = await fetch(`${proxyUrl()}/config/mode`, { method: 'POST', body: JSON.stringify({ mode: 'ShadowPrimary' }) });
    expect([switched.status, await switched.text()]).toEqual([409, expect.stringContaining('3 rows different') as string]);
  }, 240_000);

  it('repairs what is different', async () => {
    const repaired = await command('scan', 'dual-reader.yaml', '--reconcile', 'SourceWins', '--alert-threshold', '3', '--proxy', proxyUrl());
    expect(repaired, repaired.output + repaired.errors).toMatchObject({ code: 0, errors: '' });
    expect(repaired.output).toMatch(/3 repaired.*no validation stands against a switch/s);
    const after = await command('scan', 'dual-reader.yaml', '--reconcile', 'SourceWins');
    expect(after.output).toContain(' 0 different');
    const names = await target.cql(`SELECT id, name FROM ${keyspace}.item WHERE shelf IN (1, 2, 3) AND id IN (2, 2000001, 2000003)`);
    expect(names.map((row) => [row['id'], row['name']])).toEqual([[2000001, 'past the proxy'], [2, 'item 2']]);
  }, 240_000);

  it('goes over to the target, and every acknowledged write is there', async () => {
    for (const name of ['DualSync', 'ShadowPrimary', 'DualSync', 'TargetOnly']) await mode(name);
    await delay(200);
    await writer.stop();
    expect(writer.errors).toEqual([]);
    const rows = await target.cql(`SELECT id, name FROM ${keyspace}.item`);
    const names = new Map(rows.map((row) => [row['id'] as number, row['name'] as string]));
    for (const [key, value] of writer.acknowledged) expect([key, names.get(key)]).toEqual([key, value]);
    expect(writer.acknowledged.size).toBeGreaterThan(KEYS / 2);
    for (let id = 0; id < LOADED; id += 1) expect(names.get(id)).toBe(`item ${id}`);
  }, 240_000);

  it('says how each command is used, and what a file lacks', async () => {
    for (const name of ['load', 'validate', 'scan']) expect((await runProgram(process.execPath, [main, 'cql-proxy', name, '--help'], { limitMs: 20_000 })).output).toContain(`npm run cql -- ${name} --config FILE`);
    const wrong = await command('load', 'dual-reader.yaml');
    expect(wrong.code).toBe(1);
    expect(wrong.errors).toContain('reader');
  });
});
