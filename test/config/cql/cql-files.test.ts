/** The section `cql`, and the files of the documents' three services as they are, whichever way they spell a key. */
import * as fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { cqlSettings } from '../../../config/cql/cql-settings.ts';
import { keysWithoutEffect } from '../../../config/cql/keys-without-effect.ts';
import { dualReaderFile, dualWriterFile, indexesFile, loaderFile, settingsOfDualWriter } from '../../../config/cql/service-files.ts';
import { parseSettings } from '../../../config/load.ts';
import { readYaml } from '../../../config/read-yaml.ts';

const origin = { name: 'c.yaml', directory: '/d', environment: { CAUSEWAY_CASSANDRA_PASSWORD: 'p' } };
const minimal = { source: { hosts: ['a'] }, target: { hosts: ['b'] } };

describe('the section', () => {
  test('is part of the settings; its rules file is relative to them', () => {
    const settings = parseSettings('source: {host: h, database: d, user: u}\nusers: [{name: a, password: a}]\ncql: {source: {hosts: [a]}, target: {hosts: ["b:9043"]}, filter_rules: rules/filter.yaml}', origin);
    expect(settings.cql).toMatchObject({ mode: 'SourceOnly', listen: { port: 9042 }, filterRules: '/d/rules/filter.yaml', source: { hosts: ['a'], port: 9042 }, intents: { fsync: 'none' } });
  });

  test.each([
    ['{source: {hosts: []}, target: {hosts: [b]}}', /source\.hosts: expected at least one host/], ['{source: {hosts: [a]}}', /target: is missing/], ['{source: {hosts: [a], username: u}, target: {hosts: [b]}}', /source: expected username and password, or neither/],
    ['{source: {hosts: [a]}, target: {hosts: [b]}, mode: Both}', /mode: expected one of SourceOnly/], ['{source: {hosts: [a]}, target: {hosts: [b]}, intens: {}}', /intens: unknown setting; did you mean "intents"/], ['{source: {hosts: ["a:b"]}, target: {hosts: [b]}}', /hosts\.0: expected a host/],
    ['{source: {hosts: [a]}, target: {hosts: [b]}, group: {members: [a], secret: 0123456789abcdef01234567}}', /group\.members: expected the addresses of all proxies/], ['{source: {hosts: [a]}, target: {hosts: [b]}, group: {members: [a, b], secret: short}}', /group\.secret: expected at least 24/],
    ['{source: {hosts: [a]}, target: {hosts: [b]}, topology: {index: 2}, group: {members: [a, b], secret: 0123456789abcdef01234567}}', /group\.members: expected this proxy's own address at topology\.index \(2\)/],
    ['{source: {hosts: [a]}, target: {hosts: [b]}, topology: {addresses: [a, b, c]}, group: {members: [a, b], secret: 0123456789abcdef01234567}}', /group\.members: expected as many as topology\.addresses \(3\)/],
  ])('%s is refused', (yaml, message) => expect(() => readYaml(yaml, cqlSettings, origin)).toThrow(message));

  test('stands in the example with its true defaults, and whole', () => {
    const example = fs.readFileSync(new URL('../../../config/causeway.example.yaml', import.meta.url), 'utf8');
    const lines = example.split('\n');
    const from = lines.indexOf('# cql:');
    const block = lines.slice(from + 1, lines.findIndex((line, index) => index > from && line === ''));
    // Comments are sentences, settings are keys.
    const yaml = block.map((line) => line.replace(/^  # /, '')).filter((line) => /^ *(?:[a-z_]+:|#)/.test(line)).join('\n');
    const given = parse(yaml.replaceAll('${ENV:CAUSEWAY_CASSANDRA_PASSWORD}', 'p')) as Record<string, unknown>;
    expect(Object.keys(given).sort()).toEqual(Object.keys(cqlSettings.in.shape).sort());
    expect(Object.keys(given['source'] as object).sort()).toEqual(['compression', 'connections_per_host', 'connect_timeout_ms', 'driver', 'hosts', 'max_streams', 'password', 'port', 'ssl', 'username'].sort());
    const { tls: _tls, source: _source, target: _target, modes: _modes, filter_rules: _rules, group: _group, ...plain } = given;
    const { topology, ...others } = plain as { topology: Record<string, unknown> };
    const defaults = cqlSettings.parse(minimal);
    expect(cqlSettings.parse({ ...minimal, ...others, topology: { addresses: topology['addresses'], index: topology['index'], tokens: topology['tokens'] } })).toEqual(defaults);
    const { username: _user, password: _password, ssl: _ssl, ...ofSource } = given['source'] as Record<string, unknown>;
    expect(cqlSettings.parse({ ...minimal, source: { ...ofSource, hosts: ['a'] } }).source).toEqual(defaults.source);
    expect(cqlSettings.parse({ ...minimal, group: given['group'] }).group?.members.length).toBe(2);
  });
});

const cluster = (timeouts: string, rest = ''): string => `{driver: cassandra, hosts: [n1.internal, n2.internal], port: 9042, keyspace: production, ${timeouts}, pool_size: 4${rest}}`;

describe('dual-writer.yaml', () => {
  const yaml = (mode: string, timeouts: string): string => `
source: ${cluster(timeouts, ', username: admin, password: secret')}
target: ${cluster(timeouts, ', username: null, password: null')}
writer: {mode: ${mode}, shadow_timeout_ms: 4000, retry_interval_secs: 30, max_retry_attempts: 3, batch_size: 100, validation_percentage: 0.01}
observability: {metrics_port: 9090, log_level: info, jaeger_endpoint: null}
`;

  test.each([
    ['connection_timeout_secs: 3, request_timeout_secs: 7', 'DualAsync', 'DualAsync'], ['connection_timeout_ms: 3000, request_timeout_ms: 7000', 'DualWriteAsync', 'DualAsync'], ['connection_timeout: 3s, request_timeout: 7000ms', 'dual_write_sync', 'DualSync'],
    ['connection_timeout: 3, request_timeout: 7', 'PrimaryOnly', 'SourceOnly'], ['connection_timeout: 3s, request_timeout: 7s', 'ShadowPrimary', 'ShadowPrimary'],
  ])('with %s, mode %s', (timeouts, mode, meant) => {
    expect(settingsOfDualWriter(readYaml(yaml(mode, timeouts), dualWriterFile, origin), { filterRules: '/f.yaml' })).toMatchObject({
      mode: meant, listen: { host: '0.0.0.0', port: 9042 }, http: { port: 8080 }, filterRules: '/f.yaml', requestTimeoutMs: 7000, shadowTimeoutMs: 4000, sampledReads: 0.01, replay: { inFlight: 100, maxDelayMs: 30_000, maxRefusals: 3 },
      source: { hosts: ['n1.internal', 'n2.internal'], username: 'admin', password: 'secret', connectTimeoutMs: 3000, connectionsPerHost: 4 }, target: { hosts: ['n1.internal', 'n2.internal'], driver: 'cassandra' },
    });
  });

  test('with a key that nobody knows is refused', () => {
    expect(() => readYaml(yaml('DualAsync', 'request_timout_ms: 1'), dualWriterFile, origin)).toThrow(/request_timout_ms: unknown setting/);
  });
});

test('sstable-loader.yaml', () => {
  const read = readYaml(`
source: ${cluster('connection_timeout_ms: 5000, request_timeout_ms: 30000')}
target: ${cluster('connection_timeout_ms: 5000, request_timeout_ms: 30000', ', speculative_execution: true, speculative_delay_ms: 100')}
loader:
  tables: [{name: users, partition_key: [user_id]}, orders]
  num_ranges_per_core: 4
  max_concurrent_loaders: 32
  batch_size: 5000
  checkpoint_interval_secs: 60
  checkpoint_file: /tmp/checkpoint.json
  prefetch_rows: 10000
  compression: true
  max_throughput_mbps: 1000
  max_retries: 3
  retry_delay_secs: 5
  skip_on_error: false
  failed_rows_file: failed_rows.jsonl
  insert_batch_size: 100
  insert_concurrency: 32
  enable_pagination: false
  page_size: 5000
  page_retry_attempts: 3
  page_retry_backoff_ms: 500
observability: {metrics_port: 9092, log_level: info, jaeger_endpoint: null}
`, loaderFile, origin);
  expect(read.loader).toMatchObject({ tables: [{ name: 'users', partitionKey: ['user_id'] }, { name: 'orders', partitionKey: [] }], max_throughput_mbps: 1000, checkpoint_file: '/tmp/checkpoint.json' });
  expect([read.source, read.target]).toMatchObject([{ requestTimeoutMs: 30_000, speculativeDelayMs: undefined }, { speculativeDelayMs: 100 }]);
  expect(read.observability).toEqual({ metricsPort: 9092, logLevel: 'info' });
});

test('dual-reader.yaml', () => {
  const read = readYaml(`
source: {hosts: [n1], port: 9042, keyspace: p, username: null, password: null, connection_timeout: 5s, request_timeout: 10s, pool_size: 4}
target: {hosts: [n2], port: 9042, keyspace: p, username: null, password: null, connection_timeout: 5s, request_timeout: 10s, pool_size: 4}
reader: {tables: [users, orders], validation_interval_secs: 300, sample_rate: 0.01, max_concurrent_reads: 10, batch_size: 1000, max_discrepancies_to_report: 100, auto_reconcile: false, reconciliation_mode: SourceWins}
filter: {enabled: true, compare_tables: [p.users], compare_system_domain_ids: [e19206ba-c584-11e8-882a-0a580a30028e], system_domain_id_column: system_domain_id, log_discrepancies: true, discrepancy_log_path: /tmp/d.jsonl}
observability: {metrics_port: 9091, log_level: info, jaeger_endpoint: null}
`, dualReaderFile, origin);
  expect(read).toMatchObject({ source: { connectTimeoutMs: 5000, requestTimeoutMs: 10_000 }, reader: { tables: [{ name: 'users' }, { name: 'orders' }] }, filter: { enabled: true } });
});

test('keys that do nothing are named with what is done instead, unless they ask for nothing', () => {
  const loader = { prefetch_rows: 10_000, compression: false, checkpoint_file: '', enable_pagination: false, page_size: 100 };
  expect(keysWithoutEffect('sstable-loader', { source: { speculative_execution: true }, loader, observability: { jaeger_endpoint: null } }).map(({ key }) => key)).toEqual(['loader.prefetch_rows', 'loader.enable_pagination']);
  expect(keysWithoutEffect('dual-writer', { source: { speculative_execution: true }, target: { speculative_execution: false }, observability: { jaeger_endpoint: 'http://j' } }).map(({ key }) => key)).toEqual(['source.speculative_execution', 'observability.jaeger_endpoint']);
  expect(keysWithoutEffect('dual-reader', { reader: { batch_size: 1 }, source: { speculative_execution: true } })).toEqual([]);
});

test('indexes.yaml, empty as well', () => {
  expect(readYaml('[]', indexesFile, origin)).toEqual([]);
  expect(readYaml('- {keyspace: k, table: t, index_name: i, column_name: c, index_type: secondary}', indexesFile, origin)).toEqual([{ keyspace: 'k', table: 't', index_name: 'i', column_name: 'c', index_type: 'secondary' }]);
  expect(() => readYaml('- {keyspace: k}', indexesFile, origin)).toThrow(/0\.table: is missing/);
});
