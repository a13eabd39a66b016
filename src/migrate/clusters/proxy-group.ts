/**
 * Several proxies as one (docs/decisions/0028). A mode that reads the same cluster may be in force at some of them before the others: each is told, one failing is told again. To read another cluster they go together:
 * all prepare (requests of the table wait, nothing of it is owed), the decision is noted, all are told. Before the decision every failure takes all of it back; after it the rest is made as soon as it can be.
 */
import { randomUUID } from 'node:crypto';
import { MigrationError } from '../../../config/migration-error.ts';
import type { Runtime } from '../../../config/runtime.ts';
import { readsTarget } from './proxy-port.ts';
import type { DecidedMove, MemberMove, ProxyMember, ProxyPort, TableAtProxy, TableSwitch, TableValidated } from './proxy-port.ts';

/** Requests of clients wait no longer for those in hand; they wait for the answers of all proxies besides. */
const HOLD_MS = 1000;
/** Between two attempts clients are served. */
const PAUSE_MS = 1000;
const LOOK_MS = 50;

export class ProxyGroup implements ProxyPort {
  readonly #runtime: Pick<Runtime, 'clock' | 'faults' | 'log' | 'signal'>;
  readonly #members: readonly ProxyMember[];
  readonly #holdMs: number;

  constructor(runtime: Pick<Runtime, 'clock' | 'faults' | 'log' | 'signal'>, members: readonly ProxyMember[], holdMs = HOLD_MS) {
    this.#runtime = runtime;
    this.#members = members;
    this.#holdMs = holdMs;
  }

  async table(name: string): Promise<TableAtProxy> {
    return together(await this.#all((member) => member.table(name)));
  }

  async switchTable(request: TableSwitch): Promise<void> {
    const { table, mode } = request;
    // One that is away stops it before anything was changed.
    const at = await this.table(table);
    if (at.isPending) throw new MigrationError('MIG050', `${table} cannot go to ${mode} now: a change of the cluster that answers for it has not ended`, { hint: 'It is ended as soon as every proxy can be reached: SHOW MIGRATION STATUS tells.' });
    if (at.modes.some((each) => readsTarget(each) !== readsTarget(mode))) throw new MigrationError('MIG050', `${table} cannot go from ${at.modes.join(' and ')} to ${mode} by itself: the proxies of a group read another cluster all at once`, { hint: 'CUTOVER or ROLLBACK does that.' });
    await this.#all((member) => member.switchTable({ ...request, epoch: at.epoch + 1 }));
  }

  async moveTable(request: TableSwitch, decided: (move: DecidedMove) => Promise<void>): Promise<void> {
    const { table, mode, waitMs = 0 } = request;
    const { clock, faults, signal } = this.#runtime;
    const endMs = clock.monotonicMs() + waitMs;
    for (;;) {
      const move: MemberMove = { attempt: randomUUID(), table, mode, skipsValidation: request.skipsValidation === true, holdMs: this.#holdMs };
      const { epoch } = await this.table(table);
      const isFree = (await this.#all((member) => member.isFree(move))).every(Boolean);
      if (isFree && (await this.#prepared(move))) {
        const decision: DecidedMove = { attempt: move.attempt, mode, epoch: epoch + 1 };
        // Where this fails nobody knows whether it was noted: who reads it again settles it.
        await decided(decision);
        await faults.hit('cql.group.decided');
        await this.#all((member) => member.commit(table, decision));
        return;
      }
      if (clock.monotonicMs() >= endMs) throw new MigrationError('MIG050', `${table} cannot go to ${mode} now: ${isFree ? `requests of clients, or writes that are owed, did not end within ${this.#holdMs} ms` : 'writes are queued at a proxy: a cluster does not have them yet'}`, { hint: 'Nothing was changed. Try again with a longer TIMEOUT, or when the queue is empty.' });
      await clock.sleep(isFree ? PAUSE_MS : LOOK_MS, signal);
    }
  }

  /** At all, or at none. */
  async #prepared(move: MemberMove): Promise<boolean> {
    try {
      if ((await this.#all((member) => member.prepare(move))).every(Boolean)) return true;
    } catch (error) {
      await this.#takeBack(move);
      throw error;
    }
    await this.#takeBack(move);
    return false;
  }

  /** One that does not hear it holds the table until the table's driver asks it. */
  async #takeBack({ table, attempt }: MemberMove): Promise<void> {
    await this.#all((member) => member.takeBack(table, attempt)).catch((error: unknown) => this.#runtime.log.warn('a proxy of the group has not heard that a switch was taken back; it is told again', { table, error: String(error) }));
  }

  async settleMove(table: string, decided: DecidedMove | undefined): Promise<void> {
    await this.#all((member) => (decided ? member.commit(table, decided) : member.takeBack(table, undefined)));
  }

  pause(table: string): Promise<(() => Promise<boolean>) | undefined> {
    return pauseAt(this.#members, table);
  }

  async validated(result: TableValidated): Promise<void> {
    await this.#all((member) => member.validated(result));
  }

  /** Waits for all, also when one has failed. */
  #all<T>(ask: (member: ProxyMember) => Promise<T>): Promise<T[]> {
    return askAll(this.#members, ask);
  }
}

async function askAll<T>(members: readonly ProxyMember[], ask: (member: ProxyMember) => Promise<T>): Promise<T[]> {
  const asked = await Promise.allSettled(members.map(ask));
  return asked.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
}

/** A short one: it is asked for again and again. */
const QUIET_MS = 250;
const LIMIT_MS = 1000;

/** At all of them at once. */
export async function pauseAt(members: readonly ProxyMember[], table: string): Promise<(() => Promise<boolean>) | undefined> {
  const id = randomUUID();
  const end = async (): Promise<boolean> => (await askAll(members, (member) => member.endPause(table, id))).every(Boolean);
  try {
    if ((await askAll(members, (member) => member.beginPause({ table, id, quietMs: QUIET_MS, limitMs: LIMIT_MS }))).every(Boolean)) return end;
  } catch (error) {
    await end().catch(() => undefined);
    throw error;
  }
  await end();
  return undefined;
}

/** The worse of each, sums of what waits. */
export function together(members: readonly TableAtProxy[]): TableAtProxy {
  const [first] = members;
  if (!first) throw new MigrationError('MIG090', 'a group without proxies');
  const sum = (of: (one: TableAtProxy) => number): number => members.reduce((total, one) => total + of(one), 0);
  return {
    mode: first.mode, modes: [...new Set(members.flatMap(({ modes }) => modes))], epoch: Math.max(...members.map(({ epoch }) => epoch)), isPending: members.some(({ isPending }) => isPending), isHeld: members.every(({ isHeld }) => isHeld),
    queued: sum(({ queued }) => queued), depth: sum(({ depth }) => depth), oldestQueuedMs: Math.max(...members.map(({ oldestQueuedMs }) => oldestQueuedMs)), repairs: sum(({ repairs }) => repairs),
    isRepairListWhole: members.every(({ isRepairListWhole }) => isRepairListWhole), damages: sum(({ damages }) => damages), isReachable: [members.every(({ isReachable }) => isReachable[0]), members.every(({ isReachable }) => isReachable[1])],
    refusal: members.find(({ refusal }) => refusal !== null)?.refusal ?? null,
  };
}
