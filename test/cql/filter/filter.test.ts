/** The rules keep from the target what they name, exactly: by table on the dots, by tenant in the column's own type, and by what is said of writes whose tenant is not told. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { readCql } from '../../../grammar/cql/statement-facts.ts';
import type { Log } from '../../../config/runtime.ts';
import { FilterGovernor } from '../../../src/cql/filter/filter-governor.ts';
import type { BindColumn } from '../../../src/wire/cql/result-body.ts';

const directories: string[] = [];
afterEach(() => directories.splice(0).forEach((one) => fs.rmSync(one, { recursive: true })));
const lines: string[] = [];
const log: Log = { debug: () => undefined, info: (line) => lines.push(line), warn: (line) => lines.push(line), error: (line) => lines.push(line), child: () => log };

function governor(yaml: string): { readonly filter: FilterGovernor; readonly file: string } {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'filter-'));
  directories.push(directory);
  const file = path.join(directory, 'filter-rules.yaml');
  fs.writeFileSync(file, yaml);
  return { filter: new FilterGovernor(file, {}, log), file };
}

const uuid = 'e19206ba-c584-11e8-882a-0a580a30028e';
const uuidBytes = Buffer.from(uuid.replaceAll('-', ''), 'hex');
const types: Readonly<Record<string, number>> = { ascii: 1, bigint: 2, blob: 3, boolean: 4, double: 7, float: 8, int: 9, timestamp: 11, uuid: 12, text: 13, varint: 14, timeuuid: 15, inet: 16, date: 17, smallint: 19, tinyint: 20 };

function short(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}

function columns(...named: readonly (readonly [string, string])[]): BindColumn[] {
  return named.map(([name, type]) => ({ keyspace: 'ks', table: 't', name, type: Buffer.concat(type.startsWith('list ') ? [short(0x20), short(types[type.slice(5)] ?? 0)] : [short(types[type] ?? 6)]) }));
}

function value(bytes: Buffer | number): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(typeof bytes === 'number' ? bytes : bytes.length, 0);
  return typeof bytes === 'number' ? length : Buffer.concat([length, bytes]);
}

/** Whether the write goes to the target. */
function goes(filter: FilterGovernor, text: string, bound: readonly BindColumn[] = [], values: readonly (Buffer | number)[] = [], names?: readonly string[]): boolean {
  const rule = filter.snapshot.rule('ks', readCql(text), bound);
  if (typeof rule === 'string') return rule === 'pass';
  const frame = Buffer.concat([Buffer.alloc(7), ...values.flatMap((one, index) => [...(names ? [short(names[index]?.length ?? 0), Buffer.from(names[index] ?? '')] : []), value(one)])]);
  return rule.goesToShadow(frame, 7, values.length, names !== undefined);
}

describe('tables', () => {
  const { filter } = governor('filters: {table_blacklist: [ks.a, "*.b", "old.*", "\\"Ks\\".\\"A.b\\""]}');

  test.each([
    ['INSERT INTO ks.a (k) VALUES (1)', false], ['INSERT INTO a (k) VALUES (1)', false], ['INSERT INTO "A" (k) VALUES (1)', true], ['INSERT INTO KS.A (k) VALUES (1)', false],
    ['INSERT INTO ks.aa (k) VALUES (1)', true], ['INSERT INTO xks.a (k) VALUES (1)', true], ['UPDATE other.b SET v = 1 WHERE k = 1', false], ['UPDATE other.old_b SET v = 1 WHERE k = 1', true],
    ['DELETE FROM old.x WHERE k = 1', false], ['DELETE FROM older.x WHERE k = 1', true], ['DELETE FROM "Ks"."A.b" WHERE k = 1', false], ['TRUNCATE ks.a', false], ['TRUNCATE ks.c', true],
  ])('%s', (text, expected) => expect(goes(filter, text)).toBe(expected));

  test('of a whitelist are the only ones', () => {
    const { filter: only } = governor('filters: {table_whitelist: ["ks.*"], table_blacklist: [ks.a]}');
    expect(['ks.b', 'ks.a', 'other.b'].map((table) => goes(only, `INSERT INTO ${table} (k) VALUES (1)`))).toEqual([true, false, false]);
  });

  test('that are no pattern are refused with their place', () => {
    for (const bad of ['a.b.c', 'ks.t*', '*a.b', '', '.t']) expect(() => governor(`filters:\n  table_blacklist: ["${bad}"]`)).toThrow(/:2:21: filters\.table_blacklist\.0: expected ks\.table/);
  });
});

describe('a tenant', () => {
  const long = (text: string): Buffer => Buffer.from(text, 'hex');
  test.each<[string, string, Buffer, Buffer]>([
    ['uuid', uuid, uuidBytes, Buffer.alloc(16)], ['timeuuid', uuid.toUpperCase(), uuidBytes, Buffer.alloc(16)], ['text', uuid, Buffer.from(uuid.toUpperCase()), Buffer.from('x')],
    ['text', 'acme', Buffer.from('acme'), Buffer.from('Acme')], ['ascii', 'acme', Buffer.from('acme'), Buffer.from('acme2')], ['int', '42', long('0000002a'), long('0000002b')],
    ['int', '-1', long('ffffffff'), long('7fffffff')], ['bigint', '42', long('000000000000002a'), long('000000000000002b')], ['smallint', '42', long('002a'), long('012a')], ['tinyint', '42', long('2a'), long('2b')],
    ['varint', '128', long('0080'), long('80')], ['varint', '-128', long('80'), long('0080')], ['blob', '0xCAFE', long('cafe'), long('cafe00')], ['boolean', 'true', long('01'), long('00')],
    ['inet', '10.0.0.1', long('0a000001'), long('0a000002')], ['timestamp', '2026-01-01T00:00:00Z', long('0000019b76da8c00'.slice(0, 16)), long('0000000000000000')], ['date', '1970-01-02', long('80000001'), long('80000000')],
    ['double', '1.5', long('3ff8000000000000'), long('3ff8000000000001')], ['float', '1.5', long('3fc00000'), long('3fc00001')],
  ])('of type %s', (type, tenant, same, other) => {
    if (type === 'timestamp') same.writeBigInt64BE(BigInt(Date.parse(tenant)));
    const { filter } = governor(`filters: {tenant_blacklist: ["${tenant}"], tenant_id_columns: [tenant]}`);
    const bound = columns(['k', 'int'], ['tenant', type]);
    const text = 'INSERT INTO t (k, tenant) VALUES (?, ?)';
    expect(goes(filter, text, bound, [Buffer.alloc(4), same])).toBe(false);
    expect(goes(filter, text, bound, [Buffer.alloc(4), other])).toBe(true);
    // Without the server's description of the values, as in a QUERY.
    expect(goes(filter, text, [], [Buffer.alloc(4), same])).toBe(false);
    expect(goes(filter, text, [], [Buffer.alloc(4), other])).toBe(true);
  });

  test.each([
    [`INSERT INTO t (tenant, k) VALUES (${uuid}, 1)`, false], [`INSERT INTO t (tenant, k) VALUES ('${uuid.toUpperCase()}', 1)`, false], ['INSERT INTO t (tenant, k) VALUES (42, 1)', false],
    ['INSERT INTO t (tenant, k) VALUES (43, 42)', true], ["UPDATE t SET v = '42' WHERE tenant = 7", true], ['UPDATE t SET v = 1 WHERE tenant = 42 AND k = 1', false], [`DELETE FROM t WHERE tenant IN (42, ${uuid})`, false],
    ["INSERT INTO t (tenant, k) VALUES ('42', 1)", false], ['INSERT INTO t ("Tenant", k) VALUES (42, 1)', true], ['SELECT * FROM t WHERE tenant = 42', true],
  ])('written out: %s', (text, expected) => {
    const { filter } = governor(`filters: {tenant_blacklist: [${uuid}, 42], tenant_id_columns: [tenant]}`);
    expect(goes(filter, text)).toBe(expected);
  });

  test('is found behind other values, by name, and in a list', () => {
    const { filter } = governor('filters: {tenant_blacklist: [42, 43], tenant_id_columns: [tenant]}');
    const int = (number: number): Buffer => Buffer.from([0, 0, 0, number]);
    expect(goes(filter, 'UPDATE t SET v = ? WHERE k = ? AND tenant = ?', columns(['v', 'text'], ['k', 'int'], ['tenant', 'int']), [-1, int(42), int(43)])).toBe(false);
    expect(goes(filter, 'UPDATE t SET v = ? WHERE k = ? AND tenant = ?', columns(['v', 'text'], ['k', 'int'], ['tenant', 'int']), [int(42), int(42), int(1)])).toBe(true);
    expect(goes(filter, 'INSERT INTO t (k, tenant) VALUES (:k, :who)', columns(['k', 'int'], ['who', 'int']), [int(42), int(1)], ['who', 'k'])).toBe(false);
    const list = (...items: readonly Buffer[]): Buffer => Buffer.concat([int(items.length), ...items.map(value)]);
    const bound = columns(['in(tenant)', 'list int']);
    expect(goes(filter, 'DELETE FROM t WHERE tenant IN ?', bound, [list(int(42), int(43))])).toBe(false);
    expect(goes(filter, 'DELETE FROM t WHERE tenant IN ?', bound, [list(int(1), int(2))])).toBe(true);
    expect(filter.state()).toMatchObject({ tenantsSkipped: 3, mixed: 0, missing: 0 });
    expect(goes(filter, 'DELETE FROM t WHERE tenant IN ?', bound, [list(int(1), int(42))])).toBe(true);
    expect(goes(filter, 'DELETE FROM t WHERE tenant IN (?, 1)', columns(['tenant', 'int']), [int(42)])).toBe(true);
    expect(filter.state().mixed).toBe(2);
  });

  test.each(['replicate', 'skip'] as const)('that is not told or mixed: %s', (doubt) => {
    const { filter } = governor(`filters: {tenant_blacklist: [42], tenant_id_columns: [tenant], missing_tenant: ${doubt}, mixed_tenants: ${doubt}}`);
    const expected = doubt === 'replicate';
    for (const text of ['INSERT INTO t (k) VALUES (1)', 'UPDATE t SET v = 1 WHERE k = 1', 'INSERT INTO t (tenant) VALUES (null)', 'INSERT INTO t (tenant) VALUES (f(1))', 'DELETE FROM t WHERE tenant IN (42, 1)', "INSERT INTO t JSON '{}'"]) expect(goes(filter, text), text).toBe(expected);
    for (const length of [-1, -2]) expect(goes(filter, 'INSERT INTO t (tenant) VALUES (?)', columns(['tenant', 'int']), [length])).toBe(expected);
    expect(goes(filter, 'INSERT INTO t (tenant) VALUES (1)')).toBe(true);
    expect(goes(filter, 'INSERT INTO t (tenant) VALUES (42)')).toBe(false);
    expect(goes(filter, 'BEGIN BATCH INSERT INTO t (tenant) VALUES (42); INSERT INTO t (tenant) VALUES (1); APPLY BATCH')).toBe(expected);
    expect(goes(filter, 'BEGIN BATCH INSERT INTO t (tenant) VALUES (42); DELETE FROM t WHERE tenant = 42; APPLY BATCH')).toBe(false);
  });

  test('of a whitelist are the only ones', () => {
    const { filter } = governor('filters: {tenant_whitelist: [1, 2], tenant_blacklist: [2]}');
    expect([1, 2, 3].map((tenant) => goes(filter, `INSERT INTO t (tenant_id) VALUES (${tenant})`))).toEqual([true, false, false]);
    const int = (number: number): Buffer => Buffer.from([0, 0, 0, number]);
    expect([1, 2, 3].map((tenant) => goes(filter, 'INSERT INTO t (tenant_id) VALUES (?)', columns(['tenant_id', 'int']), [int(tenant)]))).toEqual([true, false, false]);
  });
});

describe('the file', () => {
  test('is read again: whole when it can be, not at all when it cannot', () => {
    const { filter, file } = governor('filters: {table_blacklist: [ks.a]}');
    const before = filter.snapshot;
    expect(filter.reload()).toBe(false);
    expect(filter.snapshot).toBe(before);
    fs.writeFileSync(file, 'filters: {table_blacklist: [ks.b], tenant_blacklst: []}');
    expect(filter.reload()).toBe(false);
    expect(filter.snapshot).toBe(before);
    expect(filter.state().problem).toMatch(/filter-rules\.yaml:1:\d+: filters\.tenant_blacklst: unknown setting; did you mean "tenant_blacklist"\?/);
    expect(goes(filter, 'INSERT INTO ks.a (k) VALUES (1)')).toBe(false);
    fs.rmSync(file);
    expect(filter.reload()).toBe(false);
    fs.writeFileSync(file, 'filters: {table_blacklist: [ks.b]}');
    expect(filter.reload()).toBe(true);
    expect(filter.state()).toMatchObject({ reloads: 1, failedReloads: 2, problem: undefined });
    expect(['a', 'b'].map((table) => goes(filter, `INSERT INTO ks.${table} (k) VALUES (1)`))).toEqual([true, false]);
  });

  test('is looked at by itself', async () => {
    const { filter, file } = governor('filters: {table_blacklist: [ks.a], reload_interval_secs: 0.02}');
    filter.start();
    fs.writeFileSync(file, 'filters: {table_blacklist: [ks.b], reload_interval_secs: 0.02}');
    await expect.poll(() => goes(filter, 'INSERT INTO ks.b (k) VALUES (1)'), { interval: 5 }).toBe(false);
    filter.stop();
  });

  test('that cannot be read at the start starts nothing', () => {
    expect(() => governor('filters: {tenant_blacklist: [{}]}')).toThrow(/expected a text, a whole number or a uuid/);
    expect(() => governor('filters: {tenant_blacklist: []\n')).toThrow(/filter-rules\.yaml/);
  });

  test('of the document is taken as it is', () => {
    const { filter } = governor(`filters:\n  # Blacklisted tenants are written to the source only\n  tenant_blacklist:\n    - "${uuid}"\n  table_blacklist:\n    - "files_keyspace.temp_files"\n    - "*.audit_log"\n  reload_interval_secs: 60\n`);
    expect(goes(filter, 'INSERT INTO files_keyspace.files (system_domain_id, id) VALUES (?, ?)', columns(['system_domain_id', 'uuid'], ['id', 'uuid']), [uuidBytes, Buffer.alloc(16)])).toBe(false);
    expect(goes(filter, 'INSERT INTO files_keyspace.temp_files (id) VALUES (1)')).toBe(false);
  });
});
