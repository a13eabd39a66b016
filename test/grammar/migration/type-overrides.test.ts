/** Property: what a type map says reads back as it is printed, and what it cannot say is refused. */
import { expect, it } from 'vitest';
import { readTypeOverrides, typeOverrides } from '../../../grammar/migration/type-overrides.ts';

const kind = typeOverrides({ name: 'type_map', from: '', place: 'table', help: '' });

it('reads types and policies, for one column or for all', () => {
  expect(readTypeOverrides('Born date ON zero_date NULL ON * REJECT, "Odd, name" numeric(30, 4), * ON nul_character clamp, at timestamp(3) with time zone')).toEqual([
    { column: 'born', type: 'date', policies: [{ loss: 'zero_date', policy: 'null' }, { loss: undefined, policy: 'reject' }] },
    { column: 'Odd, name', type: 'numeric(30, 4)', policies: [] },
    { column: undefined, type: undefined, policies: [{ loss: 'nul_character', policy: 'clamp' }] },
    { column: 'at', type: 'timestamp(3) with time zone', policies: [] },
  ]);
});

it.each(['born date on zero_date null, "B c" text[], * ON * TEXT', 'a smallint'])('%s reads back as it is printed', (text) => {
  const read = kind.read({ kind: 'string', text });
  const value = read.ok ? read.value : null;
  const printed = kind.print(value);
  expect(kind.read({ kind: 'string', text: printed.slice(1, -1).replaceAll("''", "'") })).toEqual({ ok: true, value });
});

it.each(['', 'a', '* text', 'a date,', 'a date, a text', 'a ON zero_date', 'a ON zero_date MAYBE', 'a numeric(3', "a 'x", '7 date', 'a date ON'])('%s is refused', (text) => {
  expect(kind.read({ kind: 'string', text })).toEqual({ ok: false });
});
