/**
 * Break, validate, repair, validate, by the commands: a table with a row for each kind of difference. The report names each row under its kind and no other, the scan removes it by the source's
 * word, and afterwards both clusters give the same rows.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { runProgram } from '../drivers/run-program.ts';
import type { Ended } from '../drivers/run-program.ts';
import { describeCassandra, sharedCassandra } from '../support/cassandra-servers.ts';
import type { TestCassandraClients } from '../support/cassandra-servers.ts';

const main = path.resolve(import.meta.dirname, '../../src/main/main.ts');
const base = 1_700_000_000_000_000;
/** When the applications began to write to both. */
const dualWritesSince = new Date(base / 1000 + 60_000).toISOString();

interface Case {
  /** The row: p and c. */
  readonly at: readonly [number, number];
  readonly type: string;
  readonly source?: string;
  readonly target?: string;
}

/** `ROW` stands for the condition on the key. */
const cases: readonly Case[] = [
  { at: [0, 9], type: 'MissingInTarget', source: `INSERT INTO t (p, c, v) VALUES (0, 9, 'new') USING TIMESTAMP ${base + 50}` },
  { at: [1, 9], type: 'MissingInSource', target: "INSERT INTO t (p, c, v) VALUES (1, 9, 'stray')" },
  { at: [2, 0], type: 'ValueMismatch', target: `UPDATE t USING TIMESTAMP ${base + 50} SET v = 'spoilt' WHERE ROW` },
  { at: [2, 1], type: 'TimestampMismatch', source: `UPDATE t USING TIMESTAMP ${base + 50} SET v = 'v1' WHERE ROW` },
  { at: [3, 1], type: 'TTLMismatch', source: `UPDATE t USING TIMESTAMP ${base + 50} AND TTL 90000 SET v = 'v1' WHERE ROW`, target: `UPDATE t USING TIMESTAMP ${base + 50} AND TTL 5000 SET v = 'v1' WHERE ROW` },
  { at: [4, 0], type: 'TombstoneMismatch', source: `DELETE v, m[1] FROM t USING TIMESTAMP ${base + 50} WHERE ROW` },
  { at: [4, 1], type: 'TombstoneMismatch', target: `DELETE w FROM t USING TIMESTAMP ${base + 50} WHERE ROW` },
  // Older than the dual writes: what only the target has was deleted by the source.
  { at: [4, 2], type: 'TombstoneMismatch', source: `DELETE FROM t USING TIMESTAMP ${base + 50} WHERE ROW` },
];

interface Report { readonly rowsDifferent: number; readonly counts: Readonly<Record<string, number>>; readonly tables: readonly { readonly discrepancies: readonly { readonly key: string; readonly types: readonly string[] }[] }[] }

describeCassandra('every kind of difference', () => {
  let source: TestCassandraClients;
  let target: TestCassandraClients;
  let keyspace: string;
  let folder: string;

  beforeAll(async () => {
    [source, target] = await Promise.all([sharedCassandra('source'), sharedCassandra('target')]);
    keyspace = await source.createKeyspace('broken');
    await target.cql(`CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`);
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-differences-'));
    const cluster = ({ address: { host, port } }: TestCassandraClients): object => ({ driver: 'cassandra', hosts: [host], port, keyspace });
    fs.writeFileSync(path.join(folder, 'dual-reader.yaml'), stringify({ source: cluster(source), target: cluster(target), reader: { tables: ['t'], batch_size: 500 } }));
    await Promise.all([source, target].map(async (side) => {
      await side.cql(`CREATE TABLE ${keyspace}.t (p int, c int, v text, w int, m map<int, text>, PRIMARY KEY (p, c))`);
      const rows = Array.from({ length: 20 }, (_, index) => `INSERT INTO ${keyspace}.t (p, c, v, w, m) VALUES (${index >> 2}, ${index % 4}, 'v${index % 4}', ${index}, {1: 'x', 2: 'y'})`);
      await side.cql(`BEGIN UNLOGGED BATCH USING TIMESTAMP ${base} ${rows.join('; ')}; APPLY BATCH`);
    }));
  }, 300_000);

  afterAll(async () => {
    await Promise.all([source, target].map(async (side) => {
      if (keyspace !== undefined) await side?.cql(`DROP KEYSPACE ${keyspace}`);
      await side?.[Symbol.asyncDispose]();
    }));
    if (folder !== undefined) fs.rmSync(folder, { recursive: true, force: true });
  });

  const command = (name: string, ...more: readonly string[]): Promise<Ended> => {
    const report = path.join(folder, 'report.json');
    fs.rmSync(report, { force: true });
    return runProgram(process.execPath, [main, 'cql-proxy', name, '--config', path.join(folder, 'dual-reader.yaml'), '--state-directory', path.join(folder, name), '--report', report, '--dual-writes-since', dualWritesSince, ...more], { limitMs: 200_000 });
  };
  const report = (): Report => JSON.parse(fs.readFileSync(path.join(folder, 'report.json'), 'utf8')) as Report;

  it('is found under its name, repaired by the source, and gone', async () => {
    const text = (statement: string, [p, c]: Case['at']): string => statement.replace(' t ', ` ${keyspace}.t `).replace('ROW', `p = ${p} AND c = ${c}`);
    for (const { at, source: ours, target: theirs } of cases) {
      if (ours !== undefined) await source.cql(text(ours, at));
      if (theirs !== undefined) await target.cql(text(theirs, at));
    }
    const broken = await command('validate');
    expect(broken.code, broken.output + broken.errors).toBe(1);
    const found = report().tables.flatMap(({ discrepancies }) => discrepancies.map(({ key, types }) => `${key} ${types.join()}`));
    expect(found.sort()).toEqual(cases.map(({ at: [p, c], type }) => `p = ${p}, c = ${c} ${type}`).sort());
    const repaired = await command('scan', '--reconcile', 'source-wins', '--alert-threshold', '100');
    expect(repaired, repaired.output + repaired.errors).toMatchObject({ code: 0, errors: '' });
    // What was repaired by a later time on the target is the same only for who takes it so.
    const after = await command('validate', '--accept-later-target');
    expect(after, after.output + after.errors).toMatchObject({ code: 0, errors: '' });
    expect(report()).toMatchObject({ rowsDifferent: 0 });
    const rows = async (side: TestCassandraClients): Promise<string> => JSON.stringify(await side.cql(`SELECT * FROM ${keyspace}.t`));
    expect(await rows(target)).toBe(await rows(source));
  }, 400_000);
});
