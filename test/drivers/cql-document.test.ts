/** The document's Python application, whose driver is left as it comes, reads and writes through the proxy in each phase of a migration, in which the filter rules keep one tenant from the target. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect, test } from 'vitest';
import { call, setup } from '../cql/api/process-fixture.ts';
import { rowsOn } from '../cql/proxy-fixture.ts';
import { describeUnless } from '../support/tools.ts';
import { pythonDriver } from './cql-programs.ts';
import { runProgram } from './run-program.ts';

const blocked = 'e19206ba-c584-11e8-882a-0a580a30028e';
const { missing, command } = await pythonDriver();

describeUnless(missing, 'the document\'s Python application', () => {
  test('in every phase', async () => {
    await using fixture = await setup();
    const { source, target, directory, start } = fixture;
    for (const one of [source, target]) {
      one.run("CREATE KEYSPACE files_keyspace WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
      one.run('CREATE TABLE files_keyspace.files (system_domain_id uuid, id uuid, name text, size bigint, status text, PRIMARY KEY (system_domain_id, id))');
    }
    fs.writeFileSync(path.join(directory, 'filter-rules.yaml'), `filters: {tenant_blacklist: [${blocked}], tenant_id_columns: [system_domain_id]}`);
    const running = await start({ filter_rules: 'filter-rules.yaml' });
    const program = [path.join(import.meta.dirname, 'programs', 'cql_document.py'), String(running.port), blocked];
    const ids = (one: typeof source): string[] => rowsOn(one, 'SELECT id FROM files_keyspace.files').map((id) => String(Number.parseInt(id.slice(-2), 16)));
    for (const [mode, inSource, inTarget] of [['SourceOnly', ['2', '3'], []], ['DualAsync', ['2', '3'], ['2']], ['DualSync', ['2', '3'], ['2']], ['TargetOnly', ['2', '3'], ['2', '3']]] as const) {
      await expect.poll(async () => (await call(running, 'POST /config/mode', { mode })).status).toBe(200);
      const ended = await runProgram(command[0], ['-u', ...program], { limitMs: 60_000 });
      expect([ended.code, ended.output.trim().split('\n')], ended.errors).toEqual([0, ['test.jpg (1024 bytes, status=CLOSED)', 'test.jpg (1024 bytes, status=ARCHIVED)', 'unprepared: refused by the driver']]);
      await expect.poll(() => [ids(source), ids(target)], { message: mode }).toEqual([inSource, inTarget]);
    }
    expect((await call(running, 'GET /stats')).body).toMatchObject({ filtered_writes: 2 });
  });
});
