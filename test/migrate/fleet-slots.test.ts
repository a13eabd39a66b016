/**
 * Property: two workers together never let in more than a limit says, however they, the control and the links between them come and go; nobody
 * who waits is forgotten. Only while the control is away for longer than a lease does each worker go by its own share.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ConnectionLimits } from '../../config/connection-limits.ts';
import { connectionLimits } from '../../config/connection-limits.ts';
import { noFaults } from '../../config/faults.ts';
import { parseSettings } from '../../config/load.ts';
import type { Runtime } from '../../config/runtime.ts';
import { SlotClient } from '../../src/main/slot-client.ts';
import type { ControlMessage } from '../../src/migrate/fleet-messages.ts';
import { FleetSlots } from '../../src/migrate/fleet-slots.ts';
import { SlotQueue } from '../../src/migrate/slot-queue.ts';
import { createLog } from '../../src/ops/log.ts';
import { PrometheusMetrics } from '../../src/ops/prometheus.ts';

const LEASE_MS = 1_000;
const limitsOf = (ofUser: number, ofDatabase: number, maxWaiting = 100): ConnectionLimits => ({ ofUser: () => ofUser, ofDatabase: () => ofDatabase, maxWaiting, isExempt: () => false });

/** Workers and controls in one process; a message takes no time. */
class Machine {
  nowMs = 0;
  readonly workers: { readonly client: SlotClient; isDead: boolean; link: ((message: Parameters<FleetSlots['receive']>[1]) => void) | undefined }[] = [];
  readonly #limits: ConnectionLimits;
  #control: FleetSlots | undefined;

  constructor(limits: ConnectionLimits, workers: number) {
    this.#limits = limits;
    for (let n = 0; n < workers; n += 1) this.addWorker(workers);
  }

  addWorker(workers: number): number {
    const worker: Machine['workers'][number] = { client: new SlotClient(this.#limits, workers, (message) => worker.link?.(message)), isDead: false, link: undefined };
    return this.workers.push(worker) - 1;
  }

  startControl(): void {
    const runtime: Runtime = {
      log: createLog({ level: 'error', format: 'json', now: () => 0 }), metrics: new PrometheusMetrics(), signal: new AbortController().signal, faults: noFaults,
      clock: { now: () => this.nowMs, monotonicMs: () => this.nowMs, sleep: () => Promise.resolve() },
    };
    this.#control = new FleetSlots(runtime, { limits: this.#limits, workers: 2, leaseMs: LEASE_MS });
  }

  connect(n: number): void {
    const worker = this.workers[n];
    const control = this.#control;
    if (!worker || !control || worker.isDead || worker.link) return;
    const send = (message: ControlMessage): void => {
      if (worker.link && message.type === 'slot_answer') worker.client.answered(message.id, message.granted);
    };
    const fleetWorker = { workerId: String(n), channel: { send, close: () => undefined, isDead: () => worker.isDead } };
    worker.link = (message) => void control.receive(fleetWorker, message);
    worker.client.connected();
  }

  disconnect(n: number): void {
    const worker = this.workers[n];
    if (!worker) return;
    worker.link = undefined;
    worker.client.disconnected();
  }

  stopControl(): void {
    this.workers.forEach((_, n) => this.disconnect(n));
    this.#control = undefined;
  }

  sweep(): void {
    this.#control?.sweep();
  }
}

class Guest {
  state: 'waiting' | 'in' | 'refused' | 'gone' = 'waiting';
  readonly #leave: () => void;

  constructor(machine: Machine, worker: number, user: string, database = 'shop') {
    this.#leave = (machine.workers[worker] as Machine['workers'][number]).client.request({ user, database }, (granted) => (this.state = granted ? 'in' : 'refused'));
  }

  leave(): void {
    this.state = 'gone';
    this.#leave();
  }
}

const states = (guests: readonly Guest[]): string[] => guests.map(({ state }) => state);

describe('one count for all workers', () => {
  test('a limit of two is two, wherever they came in; who waits longest is next', () => {
    const machine = new Machine(limitsOf(2, 0), 2);
    machine.startControl();
    for (const n of [0, 1]) machine.connect(n);
    const guests = [0, 1, 0, 1, 1].map((worker) => new Guest(machine, worker, 'app'));
    expect(states(guests)).toEqual(['in', 'in', 'waiting', 'waiting', 'waiting']);
    guests[3]?.leave();
    guests[0]?.leave();
    expect(states(guests)).toEqual(['gone', 'in', 'in', 'gone', 'waiting']);
    guests[1]?.leave();
    expect(states(guests)).toEqual(['gone', 'gone', 'in', 'gone', 'in']);
  });

  test('what a dead worker held is free again, what one without a link holds is not', () => {
    const machine = new Machine(limitsOf(1, 0), 2);
    machine.startControl();
    for (const n of [0, 1]) machine.connect(n);
    const [held, next] = [new Guest(machine, 0, 'app'), new Guest(machine, 1, 'app')];
    machine.disconnect(0);
    machine.sweep();
    expect(states([held, next])).toEqual(['in', 'waiting']);
    (machine.workers[0] as { isDead: boolean }).isDead = true;
    machine.sweep();
    expect(next.state).toBe('in');
  });

  test('a control that starts again lets nobody in before it has heard from all, or has waited for as long as a lease', () => {
    const machine = new Machine(limitsOf(2, 0), 2);
    machine.startControl();
    for (const n of [0, 1]) machine.connect(n);
    const held = [new Guest(machine, 0, 'app'), new Guest(machine, 1, 'app')];
    machine.stopControl();
    const late = new Guest(machine, 0, 'app');
    machine.startControl();
    machine.connect(0);
    expect(late.state).toBe('waiting');
    machine.connect(1);
    expect(late.state).toBe('waiting');
    held[1]?.leave();
    expect(late.state).toBe('in');
    machine.stopControl();
    machine.startControl();
    machine.connect(0);
    const other = new Guest(machine, 0, 'report');
    expect(other.state).toBe('waiting');
    machine.nowMs += LEASE_MS;
    machine.sweep();
    expect(other.state).toBe('in');
  });

  test('without a control each worker goes by its share; what is too much is waited out', () => {
    const machine = new Machine(limitsOf(5, 0, 3), 2);
    const guests = [0, 0, 0, 0, 1, 1, 1, 1].map((worker) => new Guest(machine, worker, 'app'));
    expect(states(guests)).toEqual(['waiting', 'waiting', 'waiting', 'refused', 'waiting', 'waiting', 'waiting', 'refused']);
    for (const { client } of machine.workers) client.letInByShare();
    expect(states(guests)).toEqual(['in', 'in', 'waiting', 'refused', 'in', 'in', 'waiting', 'refused']);
    machine.startControl();
    for (const n of [0, 1]) machine.connect(n);
    expect(states(guests)).toEqual(['in', 'in', 'in', 'refused', 'in', 'in', 'waiting', 'refused']);
  });

  test('a worker whose lease is over, but whose link is not, tells what it has done', () => {
    const machine = new Machine(limitsOf(2, 0), 2);
    machine.startControl();
    for (const n of [0, 1]) machine.connect(n);
    const guests = [new Guest(machine, 0, 'app'), new Guest(machine, 0, 'app'), new Guest(machine, 1, 'app'), new Guest(machine, 0, 'app')];
    machine.workers[1]?.client.letInByShare();
    expect(states(guests)).toEqual(['in', 'in', 'in', 'waiting']);
    guests[0]?.leave();
    expect(guests[3]?.state).toBe('waiting');
    guests[1]?.leave();
    expect(guests[3]?.state).toBe('in');
  });

  test('too many of one pool are refused, and those of another are not', () => {
    const machine = new Machine(limitsOf(1, 0, 1), 1);
    machine.startControl();
    machine.connect(0);
    machine.nowMs = LEASE_MS;
    machine.sweep();
    expect(states(['app', 'app', 'app', 'report'].map((user) => new Guest(machine, 0, user)))).toEqual(['in', 'waiting', 'refused', 'in']);
  });
});

test('whatever happens while the control can be reached, no limit is passed and nobody waits for nothing', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('come' as const), worker: fc.nat(1), user: fc.constantFrom('a', 'b', 'c'), database: fc.constantFrom('x', 'y') }),
    fc.record({ do: fc.constant('leave' as const), which: fc.nat(30) }),
    fc.record({ do: fc.constantFrom('restart' as const, 'relink' as const), worker: fc.nat(1) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const [ofUser, ofDatabase] = [2, 3];
    const machine = new Machine(limitsOf(ofUser, ofDatabase), 2);
    machine.startControl();
    for (const n of [0, 1]) machine.connect(n);
    const guests: { readonly guest: Guest; readonly user: string; readonly database: string }[] = [];
    for (const each of steps) {
      if (each.do === 'come') guests.push({ guest: new Guest(machine, each.worker, each.user, each.database), user: each.user, database: each.database });
      if (each.do === 'leave') guests[each.which % Math.max(1, guests.length)]?.guest.leave();
      if (each.do === 'restart') {
        machine.stopControl();
        machine.startControl();
        for (const n of [each.worker, 1 - each.worker]) machine.connect(n);
      }
      if (each.do === 'relink') {
        machine.disconnect(each.worker);
        machine.connect(each.worker);
      }
      const inside = (key: 'user' | 'database', name: string): number => guests.filter((one) => one[key] === name && one.guest.state === 'in').length;
      for (const { guest, user, database } of guests) {
        expect(inside('user', user)).toBeLessThanOrEqual(ofUser);
        expect(inside('database', database)).toBeLessThanOrEqual(ofDatabase);
        if (guest.state === 'waiting') expect(inside('user', user) === ofUser || inside('database', database) === ofDatabase).toBe(true);
      }
    }
  }), { numRuns: 500 });
});

test('the queue: the first of each pool, in order of arrival, for whom there is room', () => {
  const queue = new SlotQueue({ ofUser: (name) => (name === 'narrow' ? 1 : 0), ofDatabase: () => 3, maxWaiting: 10, isExempt: () => false });
  const order: string[] = [];
  const ask = (name: string, user: string) => {
    const request = { user, database: 'shop', granted: () => order.push(name) };
    queue.ask(request);
    return request;
  };
  const [n1, w1] = [ask('n1', 'narrow'), ask('w1', 'wide'), ask('w2', 'wide')];
  ask('n2', 'narrow');
  ask('w3', 'wide');
  ask('n3', 'narrow');
  queue.leave(w1);
  expect(order).toEqual(['n1', 'w1', 'w2', 'w3']);
  queue.leave(n1);
  expect(order.at(-1)).toBe('n2');
});

test('the settings say who has which limit', () => {
  const parse = (yaml: string) => connectionLimits(parseSettings(`source: {host: h, database: shop, user: u}\n${yaml}`, { name: 'c.yaml', directory: '/', environment: {} }));
  const limits = parse(`
users: [{name: app, password: x}, {name: report, password: x, max_user_connections: 2}, {name: boss, password: x, operator: true, max_user_connections: 1}, {name: free, password: x, max_user_connections: 0}]
databases: [{name: shop, max_db_connections: 80}]
limits: {max_user_connections: 20, max_db_connections: 90, max_waiting_clients: 7}
`);
  expect(['app', 'report', 'free', 'unknown'].map(limits.ofUser)).toEqual([20, 2, 0, 20]);
  expect(['shop', 'other'].map(limits.ofDatabase)).toEqual([80, 90]);
  expect([limits.maxWaiting, limits.isExempt('boss'), limits.isExempt('app')]).toEqual([7, true, false]);
  const none = parse(`users: [{name: '*', trust_from: [10.0.0.0/8], max_user_connections: 4}]\ntimeouts: {connection_wait_ms: 0}`);
  expect([none.ofUser('anybody'), none.ofDatabase('shop'), none.maxWaiting]).toEqual([4, 0, 0]);
  expect(() => parse('users: [{name: a, password: x}]\nlimits: {max_connections: 3}')).toThrow('limits: expected max_connections (3) above reserved_connections (3)');
  expect(() => parse('users: [{name: a, password: x}]\ndatabases: [{name: s}, {name: s}]')).toThrow('database "s" is listed twice');
});
