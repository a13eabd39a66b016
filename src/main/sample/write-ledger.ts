/**
 * What clients saw of their writes, so that a later look at the database can tell what was lost.
 *
 * An entry moves `pending` → `acknowledged` (COMMIT was answered), `failed` (it was refused for certain: must not be there) or
 * `unknown` (the connection was lost while COMMIT was under way: either is right). One byte per write and 16 per transfer.
 */
import type { SampleGroup } from './load-sample.ts';

export const writeOutcomes = ['pending', 'acknowledged', 'failed', 'unknown'] as const;
export type WriteOutcome = (typeof writeOutcomes)[number];

const groups: readonly SampleGroup[] = ['orders', 'accounts', 'events'];

export interface Transfer {
  readonly from: number;
  readonly to: number;
  readonly cents: number;
}

/** State before the run that the sums at its end are compared with. Money is in cents. */
export interface OpeningState {
  readonly balances: ReadonlyMap<number, number>;
  /** Units on hand plus reserved, over all products: no operation changes it. */
  readonly stock: number;
  /** Sum of the visit counters of all customers: each counted visit adds one. */
  readonly visits: number;
}

export class WriteLedger {
  readonly runId: number;
  readonly opening: OpeningState;
  readonly #clients: ClientLedger[];

  constructor(runId: number, clients: number, opening: OpeningState) {
    this.runId = runId;
    this.opening = opening;
    this.#clients = Array.from({ length: clients }, () => new ClientLedger());
  }

  get clientCount(): number {
    return this.#clients.length;
  }

  client(clientId: number): ClientLedger {
    const ledger = this.#clients[clientId];
    if (!ledger) throw new RangeError(`no client ${clientId} in this run`);
    return ledger;
  }

  count(outcome: WriteOutcome): number {
    return this.#clients.reduce((sum, ledger) => sum + ledger.count(outcome), 0);
  }
}

export class ClientLedger {
  /** Low two bits: outcome; next two: group. Index: the write's number. */
  #entries = new Uint8Array(1024);
  #length = 0;
  readonly #transfers = new Map<number, Transfer>();
  readonly #visits = new Set<number>();
  readonly #counts: Record<WriteOutcome, number> = { pending: 0, acknowledged: 0, failed: 0, unknown: 0 };

  /** Opens an entry; returns its number, from 0 on without gaps. */
  begin(group: SampleGroup): number {
    if (this.#length === this.#entries.length) {
      const larger = new Uint8Array(this.#length * 2);
      larger.set(this.#entries);
      this.#entries = larger;
    }
    this.#entries[this.#length] = groups.indexOf(group) << 2;
    this.#counts.pending += 1;
    this.#length += 1;
    return this.#length - 1;
  }

  settle(seq: number, outcome: Exclude<WriteOutcome, 'pending'>): void {
    const entry = this.#entries[seq];
    if (entry === undefined || seq >= this.#length || (entry & 3) !== 0) throw new RangeError(`write ${seq} is not pending`);
    this.#entries[seq] = entry | writeOutcomes.indexOf(outcome);
    this.#counts.pending -= 1;
    this.#counts[outcome] += 1;
    if (outcome === 'failed') this.#transfers.delete(seq);
    if (outcome === 'failed') this.#visits.delete(seq);
  }

  /** What the write is going to do, for the sums; forgotten when it fails. */
  noteTransfer(seq: number, transfer: Transfer): void {
    this.#transfers.set(seq, transfer);
  }

  noteVisit(seq: number): void {
    this.#visits.add(seq);
  }

  get length(): number {
    return this.#length;
  }

  count(outcome: WriteOutcome): number {
    return this.#counts[outcome];
  }

  outcome(seq: number): WriteOutcome {
    return writeOutcomes[(this.#entries[seq] ?? 0) & 3] ?? 'pending';
  }

  group(seq: number): SampleGroup {
    return groups[(this.#entries[seq] ?? 0) >> 2] ?? 'orders';
  }

  transfer(seq: number): Transfer | undefined {
    return this.#transfers.get(seq);
  }

  isVisit(seq: number): boolean {
    return this.#visits.has(seq);
  }
}
