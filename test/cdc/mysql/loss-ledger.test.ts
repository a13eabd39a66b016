/** Property: the ledger knows of every value that a policy changed, by column and kind, and keeps the first ones as examples. */
import { expect, it } from 'vitest';
import { mysqlServerCapabilities, parseMysqlVersion } from '../../../cdc/mysql/capabilities.ts';
import { parseColumnType } from '../../../cdc/mysql/column-type.ts';
import type { MysqlColumn } from '../../../cdc/mysql/definition.ts';
import { LossLedger } from '../../../cdc/mysql/loss-ledger.ts';
import { makeConversion, mapColumn } from '../../../cdc/mysql/type-map.ts';
import { readTypeOverrides } from '../../../grammar/migration/type-overrides.ts';

const born: MysqlColumn = {
  name: 'born', position: 1, type: parseColumnType('date'), typeText: 'date', charset: null, collation: null, padsBlanks: false, notNull: false, default: null, generated: null,
  autoIncrement: false, isNumbered: false, onUpdateNow: false, isJsonText: false, isInvisible: false, comment: '',
};

it('counts what conversions tell it', () => {
  let kinds = 0;
  const ledger = new LossLedger(() => (kinds += 1));
  const mapped = mapColumn(born, mysqlServerCapabilities(parseMysqlVersion('8.4.2')), readTypeOverrides('born ON zero_date NULL, * ON * CLAMP') ?? []);
  const { toLocal, toSource } = makeConversion(mapped, ledger.teller('t1'));
  for (let day = 0; day < 7; day += 1) toLocal('0000-00-00');
  toLocal('2024-02-30');
  toLocal('2024-02-29');
  toSource('infinity');
  const expected = [
    { tableId: 't1', column: 'born', kind: 'date_range', direction: 'toSource', policy: 'clamp', values: 1, examples: [{ value: 'infinity', becomes: '9999-12-31' }] },
    { tableId: 't1', column: 'born', kind: 'invalid_date', direction: 'toLocal', policy: 'clamp', values: 1, examples: [{ value: '2024-02-30', becomes: '2024-02-29' }] },
    { tableId: 't1', column: 'born', kind: 'zero_date', direction: 'toLocal', policy: 'null', values: 7, examples: Array.from({ length: 5 }, () => ({ value: '0000-00-00', becomes: null })) },
  ];
  expect([ledger.take(), ledger.take(), kinds]).toEqual([expected, [], 3]);
  toLocal('2023-02-31');
  expect(ledger.take()).toEqual([{ ...expected[1], values: 1, examples: [{ value: '2023-02-31', becomes: '2023-02-28' }] }]);
  expect(kinds).toBe(3);
});

it('has again what could not be recorded, and nothing of a table that begins anew', () => {
  let kinds = 0;
  const ledger = new LossLedger(() => (kinds += 1));
  const lose = (value: string): void => ledger.tell('t2', { kind: 'charset', direction: 'toSource', column: 'name', policy: 'clamp', value, becomes: null });
  for (let at = 0; at < 4; at += 1) lose(`${at}`.repeat(5_000));
  const taken = ledger.take();
  for (let at = 4; at < 8; at += 1) lose(`${at}`.repeat(5_000));
  ledger.putBack(taken);
  const [again] = ledger.take();
  expect([again?.values, again?.examples.map(({ value }) => [value[0], value.length])]).toEqual([8, ['0', '1', '2', '3', '4'].map((first) => [first, 101])]);
  lose('x');
  ledger.forget('t2');
  ledger.putBack(taken);
  expect(ledger.take()).toEqual([]);
  lose('x');
  expect([ledger.take()[0]?.values, kinds]).toEqual([1, 2]);
});
