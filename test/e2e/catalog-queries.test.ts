// A table after COMPLETE: its definition changes through the gateway, and psql shows it as it is now, also when the source has dropped its own.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findTool } from '../support/tools.ts';
import { Stack } from './support/stack.ts';

const psql = findTool('psql') ?? 'psql';
let stack: Stack;

beforeAll(async () => {
  stack = await Stack.start({ sourceSql: `CREATE TABLE note (id int PRIMARY KEY, line text); CREATE TABLE kept (id int PRIMARY KEY, line text); INSERT INTO note VALUES (1, 'a');
    ALTER TABLE note OWNER TO app; GRANT SELECT ON ALL TABLES IN SCHEMA public TO app` });
});
afterAll(async () => stack[Symbol.asyncDispose]());

it('\\d shows the definition that counts', { timeout: 120_000 }, async () => {
  const app = await stack.connect('app');
  const { host, port, database } = stack.gateway;
  const show = async (command: string, at = port): Promise<string> => (await promisify(execFile)(psql, ['-Xc', command, `host=${host} port=${at} dbname=${database} user=${at === port ? 'app' : 'postgres'}`])).stdout;
  const before = await show('\\d note');
  await stack.insist('START MIGRATION FOR TABLE note FROM legacy OPTIONS (copy_grants TRUE)');
  await stack.makeReady('public');
  await stack.command('CUTOVER TABLE note');
  // Below the table's own lines stands what the migration has put on it.
  expect((await show('\\d note')).startsWith(before.trimEnd())).toBe(true);
  await expect(app.query('ALTER TABLE note ADD COLUMN added int')).rejects.toThrow(/MIG082/);
  await stack.command('COMPLETE MIGRATION FOR TABLE note');
  const [local, source] = [await stack.direct('local'), await stack.direct('source')];
  await local.query('ALTER TABLE note OWNER TO app');
  await app.query('ALTER TABLE note ADD COLUMN added int DEFAULT 7');
  await app.query('CREATE INDEX note_added ON note (added)');
  const now = await show('\\d note', local.port);
  expect(now).toContain('added');
  expect(await show('\\d note')).toBe(now);
  expect((await app.query("SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position", ['note'])).rows).toEqual([{ column_name: 'id' }, { column_name: 'line' }, { column_name: 'added' }]);
  expect(await show('\\d kept')).toBe(await show('\\d kept', source.port));
  await source.query('DROP TABLE note');
  expect(await show('\\d note')).toBe(now);
  expect((await app.query('SELECT * FROM note')).rows).toEqual([{ id: 1, line: 'a', added: 7 }]);
  expect(await show('\\dt')).not.toContain('note');
});
