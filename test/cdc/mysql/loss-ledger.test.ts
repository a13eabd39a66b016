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
  const ledger = new LossLedger();
  const mapped = mapColumn(born, mysqlServerCapabilities(parseMysqlVersion('8.4.2')), readTypeOverrides('born ON zero_date NULL, * ON * CLAMP') ?? []);
  const { toLocal, toSource } = makeConversion(mapped, ledger.teller('t1'));
  for (let day = 0; day < 7; day += 1) toLocal('0000-00-00');
  toLocal('2024-02-30');
  toLocal('2024-02-29');
  toSource('infinity');
  ledger.teller('t2')({ kind: 'charset', direction: 'toSource', column: 'name', value: 'x'.repeat(5000), becomes: null });
  expect(ledger.counts('t1')).toEqual([
    { tableId: 't1', column: 'born', kind: 'date_range', direction: 'toSource', values: 1, examples: [{ value: 'infinity', becomes: '9999-12-31' }] },
    { tableId: 't1', column: 'born', kind: 'invalid_date', direction: 'toLocal', values: 1, examples: [{ value: '2024-02-30', becomes: '2024-02-29' }] },
    { tableId: 't1', column: 'born', kind: 'zero_date', direction: 'toLocal', values: 7, examples: Array.from({ length: 5 }, () => ({ value: '0000-00-00', becomes: null })) },
  ]);
  expect(ledger.counts('t2')[0]?.examples[0]?.value).toHaveLength(101);
  ledger.forget('t1');
  expect(ledger.counts('t1')).toEqual([]);
});
