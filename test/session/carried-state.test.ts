/** Property: what a session carries is what its last settings were, whatever came in between; what it cannot carry ties it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyFacts } from '../../grammar/sql/facts-collector.ts';
import type { StatementFacts } from '../../grammar/sql/statement-facts.ts';
import { CarriedState } from '../../src/session/pool/carried-state.ts';

const set = (name: string, local = false): StatementFacts => ({ ...emptyFacts, kind: 'set', setting: { name, value: undefined, local } });
const reset = (name: string): StatementFacts => ({ ...emptyFacts, kind: 'reset', setting: { name, value: undefined, local: false } });
const discard: StatementFacts = { ...emptyFacts, kind: 'discard', objectName: 'all' };

type Step = { readonly type: 'set'; readonly name: string; readonly value: number; readonly fails: boolean } | { readonly type: 'reset'; readonly name: string; readonly fails: boolean } | { readonly type: 'discard'; readonly fails: boolean };
const name = fc.constantFrom('work_mem', 'timezone', 'app.user');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ type: fc.constant('set' as const), name, value: fc.nat(3), fails: fc.boolean() }), fc.record({ type: fc.constant('reset' as const), name: fc.oneof(name, fc.constant('all')), fails: fc.boolean() }),
  fc.record({ type: fc.constant('discard' as const), fails: fc.boolean() }),
);

describe('settings', () => {
  it('are those of a model', () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const state = new CarriedState();
      const model = new Map<string, string>();
      for (const each of steps) {
        if (each.type === 'set') state.sent(set(each.name), true, () => `SET ${each.name} = ${each.value};  `);
        else state.sent(each.type === 'reset' ? reset(each.name) : discard, true, () => '');
        expect(state.hasPending).toBe(true);
        state.ended(each.fails);
        if (each.fails) continue;
        if (each.type === 'set') model.set(each.name, `SET ${each.name} = ${each.value}`);
        else if (each.type === 'discard' || each.name === 'all') model.clear();
        else model.delete(each.name);
      }
      expect(state.isTied).toBe(false);
      expect(state.settings.split('\n;').filter((text) => text !== '')).toEqual([...model].toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, sql]) => sql));
      // The order in which they were made does not make another name of them.
      const again = new CarriedState();
      for (const [each, sql] of [...model].toReversed()) {
        again.sent(set(each), true, () => sql);
        again.ended(false);
      }
      expect(again.settings).toBe(state.settings);
      expect(state.asOfNow().sql()).toBe(state.sql());
    }), { numRuns: 1_000 });
  });

  it('that are not alone, or decide what may be done, tie', () => {
    const tied = (send: (state: CarriedState) => void): boolean => {
      const state = new CarriedState();
      send(state);
      return state.isTied;
    };
    expect(tied((state) => state.sent(set('work_mem'), false, () => ''))).toBe(true);
    expect(tied((state) => state.sent(set('role'), true, () => ''))).toBe(true);
    expect(tied((state) => state.sent(reset('session_authorization'), true, () => ''))).toBe(true);
    expect(tied((state) => state.sent(set('work_mem', true), false, () => ''))).toBe(false);
    // Behind one whose outcome is not known.
    expect(tied((state) => [state.sent(set('work_mem'), true, () => ''), state.sent(set('timezone'), true, () => '')])).toBe(true);
    for (const kind of ['prepare', 'listen', 'create_temp', 'call', 'do'] as const) expect(tied((state) => state.sent({ ...emptyFacts, kind }, true, () => ''))).toBe(true);
    const flags = (more: Partial<StatementFacts['flags']>): StatementFacts => ({ ...emptyFacts, kind: 'select', flags: { ...emptyFacts.flags, ...more } });
    expect(tied((state) => state.sent(flags({ sessionEffect: true, advisoryLock: true, lastingLock: true }), true, () => ''))).toBe(true);
    expect(tied((state) => state.sent(flags({ sessionEffect: true, advisoryLock: true }), true, () => ''))).toBe(false);
    expect(tied((state) => state.sent(flags({ sessionEffect: true }), true, () => ''))).toBe(true);
    expect(tied((state) => state.sent({ ...flags({ sessionEffect: true }), setting: { name: 'app.user', value: 'x', local: true } }, true, () => ''))).toBe(false);
  });

  it('DISCARD ALL frees, once it has succeeded', () => {
    const state = new CarriedState();
    state.tie('test');
    state.sent(discard, true, () => '');
    expect(state.ended(true)).toBe(undefined);
    expect(state.isTied).toBe(true);
    state.sent(discard, true, () => '');
    expect(state.ended(false)).toBe('statements');
    expect(state.isTied).toBe(false);
  });

  it('what sequences have told is asked where it was drawn', () => {
    const state = new CarriedState();
    const block = {};
    expect([state.drewElsewhere(undefined), state.drewElsewhere(block)]).toEqual([true, true]);
    state.drawnIn = block;
    expect([state.drewElsewhere(block), state.drewElsewhere({})]).toEqual([false, true]);
    state.tie('test');
    expect(state.drewElsewhere(undefined)).toBe(false);
  });
});
