/** Types of `system_schema` are read and written back as they were. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cqlName, isMultiCell, parseCqlType, printCqlType } from '../../../grammar/cql/type.ts';
import type { CqlType } from '../../../grammar/cql/type.ts';

const written: readonly (readonly [text: string, printed: string])[] = [
  ['int', 'int'], ['TEXT', 'text'], ['varchar', 'text'], ['counter', 'counter'], ['duration', 'duration'],
  ['list<int>', 'list<int>'], ['set<frozen<list<text>>>', 'set<frozen<list<text>>>'], ['map<text,int>', 'map<text, int>'], ['frozen<map<text, frozen<set<int>>>>', 'frozen<map<text, frozen<set<int>>>>'],
  ['tuple<int, text>', 'frozen<tuple<int, text>>'], ['frozen<tuple<int, list<text>>>', 'frozen<tuple<int, list<text>>>'], ['vector<float, 3>', 'vector<float, 3>'],
  ['address', 'address'], ['frozen<address>', 'frozen<address>'], ['"Address"', '"Address"'], ['ks.address', 'ks.address'], ['frozen<"Ks"."a b">', 'frozen<"Ks"."a b">'],
  ["'org.apache.cassandra.db.marshal.DynamicCompositeType'", "'org.apache.cassandra.db.marshal.DynamicCompositeType'"],
  [' list < int > ', 'list<int>'],
];

test.each(written)('%s', (text, printed) => {
  const type = parseCqlType(text);
  expect(type && printCqlType(type)).toBe(printed);
});

test.each(['', 'list', 'list<', 'list<int', 'list<int>>', 'map<int>', 'int int', 'vector<float, 0>', 'vector<float>', '5', 'frozen<>', 'thing<int>', 'list<'.repeat(60)])('%s is no type', (text) => {
  const type = parseCqlType(text);
  // A bare word names a user-defined type, so that only `list` alone is read as one.
  expect(type).toEqual(text === 'list' ? { kind: 'udt', keyspace: undefined, name: 'list', isFrozen: false } : undefined);
});

test('which types are many cells', () => {
  const isMany = (text: string): boolean => {
    const type = parseCqlType(text);
    return type !== undefined && isMultiCell(type);
  };
  expect(['list<int>', 'set<int>', 'map<int, int>', 'address'].map(isMany)).toEqual([true, true, true, true]);
  expect(['frozen<list<int>>', 'tuple<int>', 'frozen<address>', 'int', 'vector<int, 2>', 'counter'].map(isMany)).toEqual([false, false, false, false, false, false]);
});

test('names are bare only where that means the same', () => {
  expect(['a', 'A', 'a b', 'select', '1a', 'a"b', 'key', ''].map(cqlName)).toEqual(['a', '"A"', '"a b"', '"select"', '"1a"', '"a""b"', 'key', '""']);
});

test('every type is read back as it was', () => {
  const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9 "]{0,8}$/).filter((text) => !['int', 'text'].includes(text));
  const { type } = fc.letrec<{ type: CqlType }>((tie) => ({
    type: fc.oneof({ depthSize: 'small' },
      fc.constantFrom<CqlType[]>({ kind: 'native', name: 'int' }, { kind: 'native', name: 'timeuuid' }, { kind: 'custom', className: "a.B'c" }),
      fc.record({ kind: fc.constant('udt' as const), keyspace: fc.option(name, { nil: undefined }), name: name.map((text) => `${text}_t`), isFrozen: fc.boolean() }),
      fc.record({ kind: fc.constantFrom('list' as const, 'set' as const), of: tie('type'), isFrozen: fc.boolean() }),
      fc.record({ kind: fc.constant('map' as const), key: tie('type'), value: tie('type'), isFrozen: fc.boolean() }),
      fc.record({ kind: fc.constant('tuple' as const), items: fc.array(tie('type'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ kind: fc.constant('vector' as const), of: tie('type'), dimension: fc.integer({ min: 1, max: 9999 }) })),
  }));
  fc.assert(fc.property(type, (tree) => {
    expect(parseCqlType(printCqlType(tree))).toEqual(tree);
  }), { numRuns: 500 });
});
