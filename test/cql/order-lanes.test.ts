/** Of two writes that exclude each other the one that came first goes first, and never are both under way; nobody waits for ever. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ANY_KEY, OrderLanes } from '../../src/cql/order-lanes.ts';
import { Request } from '../../src/cql/request.ts';

const excludes = (one: Request, other: Request): boolean => one.laneTable === other.laneTable && (one.laneKey === other.laneKey || one.laneKey === ANY_KEY || other.laneKey === ANY_KEY);

function request(table: string, key: string): Request {
  const made = new Request();
  made.laneTable = table;
  made.laneKey = key;
  return made;
}

test('whatever comes and goes', () => {
  const step = fc.oneof(
    fc.record({ does: fc.constant('enter' as const), table: fc.constantFrom('a', 'b'), key: fc.constantFrom('1', '2', '3', ANY_KEY) }),
    fc.record({ does: fc.constant('leave' as const), which: fc.nat() }),
    fc.record({ does: fc.constant('give up' as const), which: fc.nat() }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const lanes = new OrderLanes();
    const waiting: Request[] = [];
    const active: Request[] = [];
    const begin = (one: Request) => (): void => {
      const place = waiting.indexOf(one);
      expect(active.filter((other) => excludes(one, other))).toEqual([]);
      expect(waiting.slice(0, place).filter((other) => excludes(one, other))).toEqual([]);
      waiting.splice(place, 1);
      active.push(one);
    };
    for (const one of steps) {
      if (one.does === 'enter') {
        const made = request(one.table, one.key);
        waiting.push(made);
        lanes.enter(made, begin(made));
      } else {
        const from = one.does === 'leave' ? active : waiting;
        const [left] = from.splice(one.which % Math.max(1, from.length), 1);
        if (left) lanes.leave(left);
      }
    }
    while (active.length > 0) lanes.leave(active.shift() as Request);
    expect(waiting).toEqual([]);
  }), { numRuns: 500 });
});

test('leaving without having entered is nothing', () => {
  const lanes = new OrderLanes();
  lanes.leave(request('a', '1'));
  const started: string[] = [];
  const [first, second] = [request('a', '1'), request('a', '1')];
  lanes.enter(first, () => started.push('first'));
  lanes.leave(second);
  lanes.enter(second, () => started.push('second'));
  expect(started).toEqual(['first']);
  lanes.leave(first);
  expect(started).toEqual(['first', 'second']);
});
