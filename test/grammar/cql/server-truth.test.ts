/** What a text is taken for is what a real server takes it for: it parses what is understood, and refuses what is called unknown; tokens are those that it computes. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { murmur3Token, partitionKeyBytes } from '../../../grammar/cql/murmur3.ts';
import { readCql } from '../../../grammar/cql/statement-facts.ts';
import { printCqlType, parseCqlType } from '../../../grammar/cql/type.ts';
import { describeCassandra, sharedCassandra } from '../../support/cassandra-servers.ts';
import type { TestCassandraClients } from '../../support/cassandra-servers.ts';
import { RawClient } from '../../support/cql/raw-client.ts';
import { statements } from './statements.ts';

const SYNTAX_ERROR = 0x2000;
/** ScyllaDB's own, what only a later Cassandra has, and a comment at the very end, which Cassandra wants a line's end behind. */
const notOfCassandra = /BYPASS CACHE|TIMEOUT|SERVICE LEVEL|BETWEEN|NOT IN \(1\)|-- bye$/;

describeCassandra('a real Cassandra', () => {
  let server: TestCassandraClients;
  let client: RawClient;
  let keyspace: string;

  beforeAll(async () => {
    server = await sharedCassandra('source');
    keyspace = await server.createKeyspace('grammar');
    client = await RawClient.connect(server.address.port, server.address.host, { keyspace });
  });

  afterAll(async () => {
    client.close();
    await server[Symbol.asyncDispose]();
  });

  test('parses every statement that is understood, and refuses every one that is not', async () => {
    const wrong: string[] = [];
    for (const [text] of statements) {
      const bytes = Buffer.from(text);
      const length = Buffer.alloc(4);
      length.writeInt32BE(bytes.length);
      const answer = await client.send(0x09, Buffer.concat([length, bytes]));
      const { kind, isWhole } = readCql(text);
      const isSyntaxError = answer.kind === 'error' && answer.code === SYNTAX_ERROR;
      if (kind === 'unknown' || !isWhole ? answer.kind !== 'error' : isSyntaxError && !notOfCassandra.test(text)) wrong.push(`${kind}: ${text}: ${answer.kind === 'error' ? answer.message : answer.kind}`);
    }
    expect(wrong).toEqual([]);
  });

  test('computes the tokens of single and composite keys as we do', async () => {
    await server.cql(`CREATE TABLE ${keyspace}.tokens (a int, b text, c blob, v int, PRIMARY KEY ((a, b, c)))`);
    const keys = Array.from({ length: 60 }, (_, index) => [index * 7919 - 5, 'tökén'.repeat(index % 9), Buffer.alloc(index, 255 - index)] as const);
    for (const [a, b, c] of keys) await server.cql(`INSERT INTO ${keyspace}.tokens (a, b, c, v) VALUES (?, ?, ?, 1)`, [a, b, c]);
    for (const row of await server.cql(`SELECT token(a, b, c) AS t, a, b, c FROM ${keyspace}.tokens`)) {
      const first = Buffer.alloc(4);
      first.writeInt32BE(row['a'] as number);
      expect(murmur3Token(partitionKeyBytes([first, Buffer.from(row['b'] as string), row['c'] as Buffer])).toString()).toBe(String(row['t']));
    }
  });

  test('writes types as we read and print them', async () => {
    await server.cql(`CREATE TYPE ${keyspace}."Ad dress" (street text, zip int)`);
    const types = ['ascii', 'bigint', 'duration', 'varchar', 'list<int>', 'set<frozen<list<text>>>', 'map<text, frozen<map<int, frozen<"Ad dress">>>>', 'tuple<int, text>', 'frozen<tuple<int, frozen<list<int>>>>', '"Ad dress"', 'frozen<"Ad dress">', 'vector<float, 3>'];
    await server.cql(`CREATE TABLE ${keyspace}.types (k int PRIMARY KEY, ${types.map((type, index) => `c${index} ${type}`).join(', ')})`);
    const rows = await server.cql('SELECT column_name, type FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?', [keyspace, 'types']);
    const byName = new Map(rows.map((row) => [String(row['column_name']), String(row['type'])]));
    types.forEach((written, index) => {
      const told = byName.get(`c${index}`) ?? '';
      const [ours, theirs] = [parseCqlType(written), parseCqlType(told)];
      expect(theirs && printCqlType(theirs), written).toBe(told);
      expect(ours && printCqlType(ours), written).toBe(told);
    });
  });
});
