/** Two ordered readings are joined in one pass: every row comes out once, with its like where there is one, whatever is missing where. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { joinRows, keyOf } from '../../../cdc/cassandra/compare/join-rows.ts';
import type { TableRow } from '../../../cdc/cassandra/row-reader.ts';

const row = (token: number, key: number): TableRow => ({ part: 'rows', token: BigInt(token), partitionKey: [Buffer.from(`p${token}`)], clustering: [Buffer.from(String(key))], cells: [], readAtMs: 0, bytes: 1 });

async function* pagesOf(rows: readonly TableRow[], size: number): AsyncGenerator<readonly TableRow[], void, void> {
  for (let at = 0; at < rows.length; at += size) yield rows.slice(at, at + size);
}

async function join(source: readonly TableRow[], target: readonly TableRow[], pageSize: number, mostWaiting?: number): Promise<readonly string[]> {
  const pairs: string[] = [];
  for await (const { source: ours, target: theirs } of joinRows(pagesOf(source, pageSize), pagesOf(target, pageSize + 1), mostWaiting)) {
    if (ours !== undefined && theirs !== undefined) expect(keyOf(ours)).toBe(keyOf(theirs));
    const one = ours ?? theirs;
    pairs.push(`${one?.token}/${String(one?.clustering[0])} ${ours === undefined ? 'target' : theirs === undefined ? 'source' : 'both'}`);
  }
  return pairs.sort();
}

/** The order within a token is one that this code does not know: any, as long as it is the same on both sides. */
const places = fc.uniqueArray(fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: 0, max: 40 }), fc.constantFrom('source', 'target', 'both')), { selector: ([token, key]) => `${token}/${key}`, maxLength: 80 }).map((all) => all.sort(([a], [b]) => a - b));

test('of any rows on either side', async () => {
  await fc.assert(fc.asyncProperty(places, fc.integer({ min: 1, max: 7 }), async (all, pageSize) => {
    const on = (side: string): TableRow[] => all.filter(([, , where]) => where === side || where === 'both').map(([token, key]) => row(token, key));
    expect(await join(on('source'), on('target'), pageSize)).toEqual(all.map(([token, key, where]) => `${token}/${key} ${where}`).sort());
  }));
});

test('with few rows waiting, none is lost: what was given out as missing comes out on the other side as well', async () => {
  const source = Array.from({ length: 50 }, (_, key) => row(1, key));
  const target = Array.from({ length: 10 }, (_, key) => row(1, 40 + key));
  const pairs = await join(source, target, 5, 8);
  const seen = (side: string): number => new Set(pairs.filter((text) => text.endsWith(side) || text.endsWith('both')).map((text) => text.split(' ')[0])).size;
  expect([seen('source'), seen('target')]).toEqual([50, 10]);
});
