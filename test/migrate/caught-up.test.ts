/** Property: a worker is told that local has caught up once the stream shows what the source had committed when it was asked, however questions, answers and advances come in between; and not before. */
import { expect, test } from 'vitest';
import type { Catalog } from '../../catalog/catalog.ts';
import type { TableRecord } from '../../catalog/records.ts';
import type { Position } from '../../cdc/change.ts';
import type { VisibleAdvance } from '../../cdc/ports.ts';
import { CaughtUp } from '../../src/migrate/caught-up.ts';
import type { SourceFlow } from '../../src/migrate/source-flow.ts';
import type { FleetWorker } from '../../src/migrate/worker-fleet.ts';
import { testRuntime } from '../session/gateway-fixture.ts';

const at = (order: number): Position => ({ type: 'mysql_binlog', order: BigInt(order), file: 'binlog.000001', offset: BigInt(order) });
const tables = ['shop.line'];

/** The end of a source's log is what the test says, when it says so. */
class FakeSource {
  readonly asked: PromiseWithResolvers<Position>[] = [];
  readonly answered: number[] = [];
  readonly worker: FleetWorker = { workerId: 'w', channel: { send: (message) => void (message.type === 'caught_up' && this.answered.push(message.id)), close: () => undefined, isDead: () => false } };
  readonly caughtUp: CaughtUp;
  #tell: (advance: VisibleAdvance) => void = () => undefined;

  constructor() {
    const forward = {
      health: () => ({ visible: at(1) }), readEnd: () => {
        const asked = Promise.withResolvers<Position>();
        this.asked.push(asked);
        return asked.promise;
      },
      onVisible: (listener: (advance: VisibleAdvance) => void) => {
        this.#tell = listener;
        return () => undefined;
      },
    };
    const record = { source: { schema: 'shop', name: 'line' }, sourceServer: 'legacy_mysql', details: {} } as unknown as TableRecord;
    const catalog = { tables: () => Promise.resolve([record]) } as unknown as Catalog;
    this.caughtUp = new CaughtUp(testRuntime(), catalog, () => 1, () => Promise.resolve({ forward } as unknown as SourceFlow));
  }

  advance(order: number, isReset = false): void {
    this.#tell({ position: at(order), transactionIds: [], ...(isReset ? { isReset } : {}) });
  }

  async readings(count: number): Promise<void> {
    await expect.poll(() => this.asked.length).toBe(count);
  }
}

test('questions that come while the source is asked wait for its next answer, and none is lost when others are answered meanwhile', async () => {
  const source = new FakeSource();
  source.caughtUp.ask(source.worker, 1, tables);
  await source.readings(1);
  source.caughtUp.ask(source.worker, 2, tables);
  source.asked[0]?.resolve(at(10));
  await source.readings(2);
  expect(source.answered).toEqual([]);
  source.advance(10);
  expect(source.answered).toEqual([1]);
  source.asked[1]?.resolve(at(20));
  await new Promise(setImmediate);
  source.advance(19);
  expect(source.answered).toEqual([1]);
  source.advance(20);
  expect(source.answered).toEqual([1, 2]);
});

test('what local showed before it was reset does not count, a source that cannot be asked is asked again, and who is gone is forgotten', async () => {
  const source = new FakeSource();
  source.caughtUp.ask(source.worker, 1, tables);
  await source.readings(1);
  source.advance(30);
  source.advance(0, true);
  source.asked[0]?.reject(new Error('away'));
  await source.readings(2);
  source.asked[1]?.resolve(at(20));
  source.caughtUp.ask(source.worker, 2, tables);
  await source.readings(3);
  expect(source.answered).toEqual([]);
  source.advance(25);
  expect(source.answered).toEqual([1]);
  source.asked[2]?.resolve(at(40));
  await new Promise(setImmediate);
  source.caughtUp.forget('w');
  await new Promise(setImmediate);
  source.advance(50);
  source.caughtUp.ask(source.worker, 3, ['shop.nobody']);
  await expect.poll(() => source.answered).toEqual([1, 3]);
});
