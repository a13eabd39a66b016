/** Property: a worker never answers with facts of another definition than its snapshot's, and whoever waits for facts gets them or an error, once. */
import { describe, expect, test } from 'vitest';
import { emptySnapshot } from '../../catalog/routing-snapshot.ts';
import type { RoutingSnapshot, TableRoute } from '../../catalog/routing-snapshot.ts';
import type { MigratedTable } from '../../grammar/dialect/migrated-table.ts';
import { TableFacts } from '../../src/main/table-facts.ts';

const facts = (hash: string): MigratedTable => ({
  mysql: { database: 'shop', name: 'item' }, local: { schema: 'shop', name: 'item' }, server: { flavour: 'mariadb', version: 101106, text: '10.11.6-MariaDB' }, collation: null,
  hash, columns: [], primaryKey: [], uniqueKeys: [], foreignKeys: [], referencedBy: [],
});

function snapshot(hashes: Readonly<Record<string, string>>): RoutingSnapshot {
  const route: TableRoute = {
    tableId: '', state: 'LOCAL_ONLY', source: { schema: 'shop', name: 'item' }, local: { schema: 'shop', name: 'item' }, reads: 'local', writes: 'local', waitVisible: false, trackWrites: false,
    writesBlocked: false, ddlBlocked: false, quiescing: false, door: 'mysql',
  };
  return { ...emptySnapshot, tables: Object.fromEntries(Object.entries(hashes).map(([key, factsHash]) => [key, { ...route, factsHash }])) };
}

describe('facts of tables in a worker', () => {
  function make(waitMs = 1_000) {
    const asked: string[] = [];
    const state = { snapshot: snapshot({ 'shop.item': 'a', 'shop.other': 'b' }) };
    const known = new TableFacts(() => state.snapshot, (table) => asked.push(table), waitMs);
    const load = (...keys: string[]): Promise<string | undefined> => new Promise((resolve) => known.load(keys, (error) => resolve(error?.code)));
    return { asked, state, known, load };
  }

  test('are asked for once they are needed, and kept until the definition is another one', async () => {
    const { asked, state, known, load } = make();
    expect(known.get('shop.item')).toBeUndefined();
    const loaded = load('shop.item', 'shop.other');
    expect(asked).toEqual(['shop.item', 'shop.other']);
    known.answered('shop.item', facts('a'));
    known.answered('shop.other', facts('b'));
    expect(await loaded).toBeUndefined();
    expect(known.get('shop.item')?.hash).toBe('a');
    expect(await load('shop.item')).toBeUndefined();
    expect(asked).toHaveLength(2);
    state.snapshot = snapshot({ 'shop.item': 'c', 'shop.other': 'b' });
    expect(known.get('shop.item')).toBeUndefined();
    expect(known.get('shop.other')?.hash).toBe('b');
    state.snapshot = emptySnapshot;
    expect(known.get('shop.other')).toBeUndefined();
  });

  test('are asked for again of a control that is another process', async () => {
    const { asked, known, load } = make();
    const loaded = load('shop.item');
    known.connected();
    expect(asked).toEqual(['shop.item', 'shop.item']);
    known.answered('shop.item', facts('a'));
    known.answered('shop.item', facts('a'));
    expect(await loaded).toBeUndefined();
  });

  test('that the control does not have are an error, and so is one that does not answer', async () => {
    const { known, load } = make(20);
    const none = load('shop.item', 'shop.other');
    known.answered('shop.item', undefined);
    expect(await none).toBe('MIG082');
    expect(await load('shop.item')).toBe('MIG084');
  });

  test('are bounded: those not asked for go first', () => {
    const { known, state } = make();
    const keys = Array.from({ length: 1_001 }, (_, n) => `shop.t${n}`);
    state.snapshot = snapshot(Object.fromEntries(keys.map((key) => [key, 'x'])));
    for (const key of keys.slice(0, 1_000)) known.answered(key, facts('x'));
    expect(known.get('shop.t0')).toBeDefined();
    known.answered('shop.t1000', facts('x'));
    expect([known.get('shop.t0'), known.get('shop.t1'), known.get('shop.t1000')].map((each) => each !== undefined)).toEqual([true, false, true]);
  });
});
