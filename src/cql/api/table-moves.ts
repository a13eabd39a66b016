/**
 * This proxy's part in a change of the cluster that is read, which all proxies of a group make at once (docs/decisions/0028).
 *
 * Of a table: open → held (its requests wait; those in hand end; nothing of it is owed) → prepared (that is on disk: from here on only the decision leads on) → committed or taken back (open again).
 * A proxy that is started while it is prepared refuses the table's requests until it hears the decision.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import type { FaultPoints } from '../../../config/faults.ts';
import type { CqlMode } from '../modes.ts';
import type { CqlProxy } from '../proxy-options.ts';
import type { PendingMove } from './stored-modes.ts';

export interface MoveRequest {
  readonly attempt: string;
  /** `ks.table`. */
  readonly table: string;
  readonly mode: CqlMode;
  readonly skipsValidation: boolean;
  /** How long requests of clients may wait for those in hand. */
  readonly holdMs: number;
}

export interface Obstacles {
  readonly reasons: readonly string[];
  /** Only what is queued is in the way, and may be gone the next moment. */
  readonly isPassing: boolean;
}

export interface MoveParts {
  readonly proxy: Pick<CqlProxy, 'hold' | 'refuse' | 'open'>;
  readonly faults: FaultPoints;
  obstacles(request: MoveRequest): Obstacles;
  /** What `pending` holds is on disk when it returns. */
  store(): void;
  /** The same, with the table's new mode, which is in force afterwards. */
  make(table: string, mode: CqlMode, epoch: number): void;
  modeOf(table: string): CqlMode;
}

/** Requests that wait are refused when the decision has not come in this many times the time that the others were given to end. */
const REFUSED_AFTER_HOLDS = 3;
const MOST_REMEMBERED = 1000;

export class TableMoves {
  readonly #parts: MoveParts;
  readonly #pending: Map<string, PendingMove>;
  readonly #preparing = new Set<string>();
  /** Attempts that were taken back: a request to prepare one may have been overtaken by that. */
  readonly #takenBack = new Set<string>();

  constructor(parts: MoveParts, pending: ReadonlyMap<string, PendingMove>) {
    this.#parts = parts;
    this.#pending = new Map(pending);
    for (const table of pending.keys()) parts.proxy.refuse(table);
  }

  get pending(): ReadonlyMap<string, PendingMove> {
    return this.#pending;
  }

  /** Its requests are held, or about to be. */
  has(table: string): boolean {
    return this.#pending.has(table) || this.#preparing.has(table);
  }

  /** Whether nothing of the table is owed at the moment. Throws MIG050 for what will not pass by itself. */
  isFree(request: MoveRequest): boolean {
    const { reasons, isPassing } = this.#parts.obstacles(request);
    if (reasons.length > 0 && !isPassing) throw new MigrationError('MIG050', `${request.table} cannot go to ${request.mode} now: ${reasons.join('; ')}`, { detail: reasons.join('\n'), hint: 'Remove what is in the way, then try again.' });
    return reasons.length === 0;
  }

  /** True: prepared, on disk. False: not now; nothing was changed. Throws as `isFree`. */
  async prepare(request: MoveRequest): Promise<boolean> {
    const { table, attempt, mode, holdMs } = request;
    const { proxy, faults, store } = this.#parts;
    const known = this.#pending.get(table);
    if (known?.attempt === attempt) return true;
    if (known || this.#preparing.has(table)) throw new MigrationError('MIG050', `${table} is on its way to ${known?.mode ?? mode} already`, { hint: 'SHOW MIGRATION STATUS tells what has become of it.' });
    if (this.#takenBack.has(attempt) || !this.isFree(request)) return false;
    this.#preparing.add(table);
    let isPrepared = false;
    try {
      if (!(await proxy.hold(table, holdMs, holdMs * REFUSED_AFTER_HOLDS, 'refusing')) || this.#takenBack.has(attempt) || !this.isFree(request)) return false;
      this.#pending.set(table, { attempt, mode });
      store();
      isPrepared = true;
    } finally {
      this.#preparing.delete(table);
      if (!isPrepared) {
        this.#pending.delete(table);
        proxy.open(table);
      }
    }
    await faults.hit('cql.group.prepared');
    return true;
  }

  /** Again and again the same. Throws MIG091 for what this proxy has not agreed to. */
  async commit(table: string, { attempt, mode, epoch }: { readonly attempt: string; readonly mode: CqlMode; readonly epoch: number }): Promise<void> {
    const { proxy, faults, make, modeOf } = this.#parts;
    const known = this.#pending.get(table);
    if (known?.attempt !== attempt) {
      if (modeOf(table) === mode) return;
      throw new MigrationError('MIG091', `${table} is in mode ${modeOf(table)} at this proxy, which has not agreed to go to ${mode}`, { hint: 'Its state was lost or replaced: find out from its log, and compare both clusters.' });
    }
    this.#pending.delete(table);
    try {
      make(table, mode, epoch);
    } catch (error) {
      this.#pending.set(table, known);
      throw error;
    }
    proxy.open(table);
    await faults.hit('cql.group.committed');
  }

  /** Without `attempt` whatever is pending. */
  takeBack(table: string, attempt?: string): void {
    if (attempt !== undefined) {
      if (this.#takenBack.size >= MOST_REMEMBERED) this.#takenBack.clear();
      this.#takenBack.add(attempt);
    }
    const known = this.#pending.get(table);
    if (!known || (attempt !== undefined && known.attempt !== attempt)) return;
    this.#pending.delete(table);
    this.#parts.store();
    this.#parts.proxy.open(table);
  }

  /** As another proxy of the group has it. */
  adopt(pending: ReadonlyMap<string, PendingMove>): void {
    for (const table of this.#pending.keys()) this.#parts.proxy.open(table);
    this.#pending.clear();
    for (const [table, move] of pending) {
      this.#pending.set(table, move);
      this.#parts.proxy.refuse(table);
    }
  }
}
