import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CrossDeadlocks, findVictims } from '../../src/migrate/cross-deadlocks.ts';
import type { Wait } from '../../src/migrate/cross-deadlocks.ts';
import type { CrossingUnit } from '../../src/migrate/fleet-messages.ts';

const unit = (id: number, openForMs = 1000 - id): CrossingUnit => ({ sessionId: `s${id}`, sourcePid: id, localPid: id + 100, openForMs });
const onSource = (pid: number, blockedBy: number): Wait => ({ side: 'source', pid, blockedBy });
const onLocal = (pid: number, blockedBy: number): Wait => ({ side: 'local', pid: pid + 100, blockedBy: blockedBy + 100 });
const victims = (units: readonly CrossingUnit[], waits: readonly Wait[]): string[] => findVictims(units, waits).map(({ sessionId }) => sessionId);

describe('who gives way', () => {
  it('the youngest of a cycle over both sides', () => {
    expect(victims([unit(1), unit(2)], [onSource(1, 2), onLocal(2, 1)])).toEqual(['s2']);
    expect(victims([unit(1), unit(2), unit(3)], [onSource(1, 2), onLocal(2, 3), onSource(3, 1)])).toEqual(['s3']);
  });

  it('nobody where nobody waits in a circle', () => {
    expect(victims([unit(1), unit(2), unit(3)], [onSource(1, 2), onLocal(3, 2), onLocal(1, 3)])).toEqual([]);
    expect(victims([], [onSource(1, 2), onLocal(2, 1)])).toEqual([]);
  });

  it('nobody in a cycle on one side, which that server ends itself', () => {
    expect(victims([unit(1), unit(2)], [onSource(1, 2), onSource(2, 1)])).toEqual([]);
  });

  it('a cycle may go through backends that are on one side only', () => {
    expect(victims([unit(1), unit(2)], [onSource(1, 7), onSource(7, 2), onLocal(2, 1)])).toEqual(['s2']);
  });

  it('one of each cycle', () => {
    expect(victims([unit(1), unit(2), unit(3), unit(4)], [onSource(1, 2), onLocal(2, 1), onSource(3, 4), onLocal(4, 3), onSource(1, 3)]).sort()).toEqual(['s2', 's4']);
  });

  it('only who was a victim at two looks', () => {
    const deadlocks = new CrossDeadlocks();
    deadlocks.told('w1', [unit(1)]);
    deadlocks.told('w2', [unit(2)]);
    const waits = [onSource(1, 2), onLocal(2, 1)];
    expect(deadlocks.judge(waits)).toEqual([]);
    expect(deadlocks.judge([])).toEqual([]);
    expect(deadlocks.judge(waits)).toEqual([]);
    expect(deadlocks.judge(waits)).toEqual(['s2']);
    deadlocks.told('w2', []);
    expect(deadlocks.judge(waits)).toEqual([]);
  });
});

/** Whether `from` reaches itself, by trying every way. */
function isInCycle(from: number, edges: readonly (readonly [number, number])[]): boolean {
  const seen = new Set<number>();
  const open = edges.filter(([a]) => a === from).map(([, b]) => b);
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at === from) return true;
    if (seen.has(at)) continue;
    seen.add(at);
    open.push(...edges.filter(([a]) => a === at).map(([, b]) => b));
  }
  return false;
}

it('every victim is in a circle, and without the victims no circle over both sides is left', () => {
  const edges = fc.array(fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 7 }), fc.boolean()).filter(([a, b]) => a !== b), { maxLength: 14 });
  fc.assert(fc.property(edges, (drawn) => {
    const units = [1, 2, 3, 4, 5, 6, 7].map((id) => unit(id));
    let waits = drawn.map(([a, b, isLocal]) => (isLocal ? onLocal(a, b) : onSource(a, b)));
    for (let round = 0; round < 10; round += 1) {
      const found = findVictims(units, waits);
      if (found.length === 0) break;
      for (const victim of found) expect(isInCycle(victim.sourcePid, waits.map(({ pid, blockedBy }) => [pid % 100, blockedBy % 100] as const))).toBe(true);
      // Who gives way waits for nobody any more, and nobody waits for it.
      waits = waits.filter(({ pid, blockedBy }) => !found.some(({ sourcePid }) => pid % 100 === sourcePid || blockedBy % 100 === sourcePid));
    }
    expect(findVictims(units, waits)).toEqual([]);
    for (const id of [1, 2, 3, 4, 5, 6, 7]) {
      const around = waits.map(({ side, pid, blockedBy }) => ({ side, edge: [pid % 100, blockedBy % 100] as const }));
      if (!isInCycle(id, around.map(({ edge }) => edge))) continue;
      // What is left is within one side.
      const component = around.filter(({ edge: [a, b] }) => [a, b].every((node) => node === id || (isReached(id, node, around) && isReached(node, id, around))));
      expect(new Set(component.map(({ side }) => side)).size).toBe(1);
    }
  }));
});

function isReached(from: number, to: number, around: readonly { readonly edge: readonly [number, number] }[]): boolean {
  const seen = new Set([from]);
  const open = [from];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const { edge: [a, b] } of around) {
      if (a !== at || seen.has(b)) continue;
      if (b === to) return true;
      seen.add(b);
      open.push(b);
    }
  }
  return false;
}
