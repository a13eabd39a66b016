/** What a table's definition does to rows: a change since the migration began is found, unless local does the same. */
import { expect, it } from 'vitest';
import { compareBehaviour } from '../../src/migrate/behaviour-drift.ts';
import type { TableBehaviour } from '../../src/migrate/table-details.ts';

const before: TableBehaviour = { defaults: { id: null, rate: '4.99', kept: '1' }, checks: ['CHECK ((rate > 0))'], notNull: ['id'], indexes: ['USING btree (rate)', 'UNIQUE USING btree (kept)'], foreignKeys: ['(kept) to other (id)'] };
const compare = (now: Partial<TableBehaviour>, local: Partial<TableBehaviour> = {}, columns = ['id', 'rate', 'kept']): readonly string[] => compareBehaviour({ before, now: { ...before, ...now }, local: { ...before, ...local } }, columns);

it('finds nothing where nothing has changed, whatever local has of its own', () => {
  expect(compare({})).toEqual([]);
  expect(compare({}, { defaults: { id: '7', rate: null, kept: '2' }, checks: [] })).toEqual([]);
});

it('finds a default that has changed, come or gone, until local has it too', () => {
  const defaults = { id: '5', rate: '5.99', kept: null };
  expect(compare({ defaults })).toEqual([
    'the default of id is 5 on the source now, and was none; on local it is none', 'the default of rate is 5.99 on the source now, and was 4.99; on local it is 4.99', 'the default of kept is none on the source now, and was 1; on local it is 1',
  ]);
  expect(compare({ defaults }, { defaults })).toEqual([]);
  expect(compare({ defaults }, {}, ['id'])).toHaveLength(1);
  // New columns are told elsewhere.
  expect(compare({ defaults: { ...before.defaults, more: '1' } }, {}, ['more'])).toEqual([]);
});

it('finds a check that has come or gone, until local is the same', () => {
  const checks = ['CHECK ((rate > 1))'];
  expect(compare({ checks })).toEqual(['CHECK ((rate > 1)) is new on the source, and not on local', 'CHECK ((rate > 0)) is gone from the source, and still on local']);
  expect(compare({ checks }, { checks })).toEqual([]);
});

it('finds what takes no NULL any more, indexes and foreign keys that have come, and those gone that refuse rows', () => {
  expect(compare({ notNull: ['id', 'rate'] })).toEqual(['rate takes no NULL on the source any more, and does on local']);
  expect(compare({ notNull: ['id', 'rate'] }, { notNull: ['id', 'rate'] })).toEqual([]);
  const indexes = [...(before.indexes ?? []), 'UNIQUE USING btree (rate)'];
  expect(compare({ indexes })).toEqual(['index UNIQUE USING btree (rate) is new on the source, and not on local']);
  expect(compare({ indexes }, { indexes })).toEqual([]);
  expect(compare({ indexes: [] })).toEqual(['index UNIQUE USING btree (kept) is gone from the source, and still on local']);
  expect(compare({ foreignKeys: ['(rate) to price (id)'] })).toEqual(['foreign key (rate) to price (id) is new on the source, and not on local', 'foreign key (kept) to other (id) is gone from the source, and still on local']);
  // A migration that began before these were noted.
  const { defaults, checks } = before;
  expect(compareBehaviour({ before: { defaults, checks }, now: { ...before, notNull: ['rate'], indexes, foreignKeys: [] }, local: before }, ['rate'])).toEqual([]);
});
