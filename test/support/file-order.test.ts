// Files that share the Cassandra clusters come together, in the order that they had.
import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect, test } from 'vitest';
import { clustersFirst } from './file-order.ts';

test('a file that names the shared clusters, or a fixture of them, comes before the others', () => {
  const texts = { a: '', b: "describeCassandra('x', () => {})", c: 'const cassandra = 1;', d: "import { ways } from './cql-ways.ts';", e: 'await sharedCassandra' };
  expect(clustersFirst(Object.keys(texts) as (keyof typeof texts)[], (name) => texts[name])).toEqual(['b', 'd', 'e', 'a', 'c']);
});

test('every file whose own text starts or asks for a cluster is one of them', () => {
  const tests = path.dirname(import.meta.dirname);
  const files = fs.readdirSync(tests, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.test.ts') && !name.startsWith('support')).map((name) => path.join(tests, name));
  const text = new Map(files.map((file) => [file, fs.readFileSync(file, 'utf8')]));
  const asking = files.filter((file) => text.get(file)?.includes('cassandra-servers.ts'));
  expect(asking.length).toBeGreaterThan(10);
  expect(asking.filter((file) => clustersFirst(['another', file], (name) => text.get(name) ?? '')[0] !== file)).toEqual([]);
});
