/** A CQL text is read once: what it is about, how it writes, and that whatever else it may be is called unknown. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isSystemKeyspace, readCql } from '../../../grammar/cql/statement-facts.ts';
import type { CqlStatement, CqlTerm } from '../../../grammar/cql/statement.ts';
import { cqlTokens } from '../../../grammar/cql/tokens.ts';
import { printFacts, printTerm } from './print-facts.ts';
import { statements } from './statements.ts';

describe('statements', () => {
  test.each(statements)('%s', (text, facts) => expect(printFacts(readCql(text))).toBe(facts));

  test('are many', () => expect(statements.length).toBeGreaterThanOrEqual(200));
});

test('places lead to what is written there', () => {
  const text = "INSERT INTO t (a, b, c) VALUES (toTimestamp( now() ), [1, ?], - 5) USING TIMESTAMP -7 AND TTL /* x */ 60";
  const { writes, ttl, timestamp, unstableCalls } = readCql(text);
  const at = (place: { readonly start: number; readonly end: number } | undefined): string => (place ? text.slice(place.start, place.end) : 'nowhere');
  expect(writes.map(({ term }) => at(term))).toEqual(['toTimestamp( now() )', '[1, ?]', '- 5']);
  expect([at(timestamp), at(ttl), ...unstableCalls.map(at)]).toEqual(['-7', '60', 'now()']);
});

test('places in a batch are of the whole text, and its markers are numbered through', () => {
  const text = 'BEGIN BATCH INSERT INTO t (a, b) VALUES (?, now()); UPDATE t SET b = uuid() WHERE a = :x; APPLY BATCH';
  const facts = readCql(text);
  expect(facts.unstableCalls.map(({ start, end }) => text.slice(start, end))).toEqual(['now()', 'uuid()']);
  expect(facts.bindNames).toEqual([undefined, 'x']);
});

test('names of markers are folded, quoted ones kept, and each place counts', () => {
  expect(readCql('SELECT a FROM t WHERE a = :Id AND b = :"Id" AND c = :id AND d = ?').bindNames).toEqual(['id', 'Id', 'id', undefined]);
  expect(readCql('NOT A STATEMENT ? :x').bindNames).toEqual([undefined, 'x']);
});

test('system keyspaces', () => {
  expect(['system', 'system_schema', 'system_auth', 'system_traces', 'systematic', 'ks'].map(isSystemKeyspace)).toEqual([true, true, true, true, false, false]);
});

test('deep nesting and long texts are read or refused, never an overflow', () => {
  const nested = (depth: number): string => `INSERT INTO t (a) VALUES (${'['.repeat(depth)}1${']'.repeat(depth)})`;
  expect(readCql(nested(50)).kind).toBe('insert');
  for (const text of [nested(100_000), `SELECT a FROM t WHERE ${'('.repeat(100_000)}`, `UPDATE t SET a = ${'-'.repeat(1)}${'- '.repeat(50_000)}1 WHERE k = 1`]) expect(['unknown', 'select']).toContain(readCql(text).kind);
});

describe('whatever the text', () => {
  const pieces = fc.constantFrom(...new Set(statements.flatMap(([text]) => cqlTokens(text).map(({ start, end }) => text.slice(start, end)))));

  test('reading never throws', () => {
    fc.assert(fc.property(fc.oneof(fc.string({ maxLength: 60, unit: 'binary' }), fc.array(pieces, { maxLength: 30 }).map((words) => words.join(' '))), (text) => {
      expect(readCql(text).kind).toBeTypeOf('string');
    }), { numRuns: 3000 });
  });

  test('the case of words and comments between them change no fact', () => {
    const gaps = fc.constantFrom(' ', '\n', '\t \r\n', ' /* c */ ', ' -- c\n', ' // c ? :x \' "\n', '/**/');
    fc.assert(fc.property(fc.constantFrom(...statements), fc.array(gaps, { minLength: 1, maxLength: 8 }), fc.boolean(), fc.boolean(), ([text], between, upper, isTrailed) => {
      const tokens = cqlTokens(text);
      fc.pre(tokens.every(({ kind }) => kind !== 'bad'));
      const written = tokens.map(({ kind, start, end }, index) => {
        const own = text.slice(start, end);
        const gap = index === 0 ? '' : between[index % between.length];
        return `${gap ?? ''}${kind === 'word' ? (upper ? own.toUpperCase() : own.toLowerCase()) : own}`;
      });
      const again = readCql(`${written.join('')}${isTrailed ? ' ; -- end' : ''}`);
      // What folds may be written in either case: the constants keep theirs, so only words are changed above.
      expect(printFacts(again)).toBe(printFacts(readCql(text)));
    }), { numRuns: 3000 });
  });

  test('no place lies outside the text, and no bind marker is lost', () => {
    fc.assert(fc.property(fc.array(pieces, { maxLength: 25 }).map((words) => words.join(' ')), (text) => {
      const facts = readCql(text);
      const seen: number[] = [];
      for (const term of termsOf(facts)) {
        expect(term.start).toBeGreaterThanOrEqual(0);
        expect(term.end).toBeLessThanOrEqual(text.length);
        expect(term.end, printTerm(term)).toBeGreaterThan(term.start);
        if (term.kind === 'bind') seen.push(term.index);
      }
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.every((index) => index < facts.bindNames.length)).toBe(true);
    }), { numRuns: 2000 });
  });
});

function termsOf(facts: CqlStatement): CqlTerm[] {
  const own = [facts.json, facts.limit, facts.ttl, facts.timestamp, ...facts.writes.flatMap(({ term, key }) => [term, key]), ...[...facts.where, ...facts.ifs].flatMap(({ terms }) => terms)].filter((term) => term !== undefined);
  const inner = (term: CqlTerm): CqlTerm[] => [term, ...(term.kind === 'compound' ? term.items.flatMap(inner) : [])];
  return [...own.flatMap(inner), ...(facts.batch?.children.flatMap(termsOf) ?? [])];
}
