/** What a table's definition does to rows: a change since the migration began is found, unless local does the same. */
import { expect, it } from 'vitest';
import { compareBehaviour } from '../../src/migrate/behaviour-drift.ts';
import type { TableBehaviour } from '../../src/migrate/table-details.ts';

const before: TableBehaviour = { defaults: { id: null, rate: '4.99', kept: '1' }, checks: ['CHECK ((rate > 0))'] };
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
