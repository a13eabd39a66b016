/** What the end of a unit on a leg means to its session: its block, its statements and settings, and whether its answer has to wait for local. */
import type { Side } from '../../catalog/routing-snapshot.ts';
import { OpenTransaction } from '../execute/open-transaction.ts';
import type { Segment } from '../execute/segment.ts';
import { withoutReady } from '../wire/backend-messages.ts';
import { CUT, PASS } from '../wire/framing.ts';
import type { Verdict } from '../wire/framing.ts';
import type { CommitWait } from './commit-wait.ts';
import type { Leg } from './leg.ts';
import type { SessionCore } from './session-core.ts';
import type { TransactionControl } from './transaction-control.ts';

export class UnitEnds {
  readonly #core: SessionCore;
  readonly #commitWait: CommitWait;
  readonly #control: TransactionControl;
  readonly #settled: () => void;

  /** `settled`: an answer is complete. */
  constructor(core: SessionCore, commitWait: CommitWait, control: TransactionControl, settled: () => void) {
    this.#core = core;
    this.#commitWait = commitWait;
    this.#control = control;
    this.#settled = settled;
  }

  segmentEnded(leg: Leg, segment: Segment, ending: Buffer): Verdict {
    const core = this.#core;
    if (leg === core.home && !segment.images) core.sourceSeen = true;
    if (segment.carries) this.#carry(leg, segment);
    this.#reconcile(leg, segment);
    if (segment.failed) core.statements.forgetUnmade(segment, leg.side);
    if (segment.after === 'track') core.trackPending = true;
    core.unitEnded();
    if (segment.swallowReady) {
      if (segment.failed) core.unit.skipping = true;
      else if (segment.keepsTag) segment.tag = withoutReady(ending);
      this.#settled();
      return CUT;
    }
    if (ending.length === 0) {
      this.#count(leg.side, leg, segment);
      this.#settled();
      return PASS;
    }
    this.#holdBack(leg, segment, ending);
    return CUT;
  }

  #holdBack(leg: Leg, segment: Segment, ending: Buffer): void {
    const core = this.#core;
    const release = (): void => {
      if (core.ended) return;
      core.holding -= 1;
      this.#count('dual', leg, segment);
      core.toClient(ending);
      leg.release();
      this.#settled();
      core.unitEnded();
    };
    core.holding += 1;
    // What has passed so far leaves before anything that the wait may write.
    leg.flushPassed();
    if (segment.failed && segment.after === 'xid') {
      release();
      return;
    }
    if (segment.after === 'xid') leg.hold();
    this.#commitWait.start(segment.after, segment.xid, segment.touches, release);
  }

  #count(route: Side | 'dual', leg: Leg, segment: Segment): void {
    const core = this.#core;
    const nowMs = core.now();
    core.services.times.unitEnded(route, nowMs - segment.startedAtMs);
    core.counts.unitEnded(leg.status, segment.startedAtMs, nowMs);
  }

  /** The server's word on the block counts once nothing more is on its way there. */
  #reconcile(leg: Leg, segment: Segment): void {
    if (!leg.idle) return;
    const { side, status } = leg;
    const core = this.#core;
    const { tx } = core;
    if (status === 'I') {
      if (!tx?.begun[side] || tx.sides.length > 1) return;
      core.tx = undefined;
      this.#control.ended(tx);
    } else if (!tx) {
      core.tx = OpenTransaction.leftBy(segment, side, core.services.view().snapshot, core.now());
    } else if (status === 'E') tx.failedOn ??= side;
    else if (tx.failedOn === side) tx.failedOn = undefined;
  }

  /** What the unit has done to the session's settings is so from now on, here and on later connections. */
  #carry({ backend }: Leg, segment: Segment): void {
    const { carried } = this.#core;
    if (!carried || !backend) return;
    if (carried.ended(segment.failed) === 'statements') backend.prepared.clear();
    if (!segment.failed) backend.settings = carried.settings;
  }
}
