/** Tables of two mock clusters for tests of the writes to both, and what is asked of them at the end. */
import { expect } from 'vitest';
import { compareStores } from '../support/cql/compare-stores.ts';
import { startFixture } from './proxy-fixture.ts';
import type { Fixture, FixtureOptions } from './proxy-fixture.ts';

export const insert = 'INSERT INTO ks.t (k, v) VALUES (?, ?)';
export const prepared = { prepare: true };

export async function withTable(options: FixtureOptions): Promise<Fixture> {
  const fixture = await startFixture(options);
  fixture.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text, tags set<text>, list list<text>)');
  fixture.both('CREATE TABLE ks.c (k int PRIMARY KEY, n counter)');
  return fixture;
}

export function expectSame(fixture: Fixture, isTimed = true): void {
  const { cells, differences } = compareStores(fixture.source.database, fixture.target.database, { isTimed: () => isTimed });
  expect(differences).toEqual([]);
  expect(cells).toBeGreaterThan(0);
}

export const drained = (fixture: Fixture): Promise<void> => expect.poll(() => fixture.intents.state().depth).toBe(0);
