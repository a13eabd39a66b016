/**
 * Writes whose rows go to local with the transaction (`dual_write_mode 'two_phase'`). The source gets the client's statement with a RETURNING behind it, and the
 * client the answer of a statement without one. A statement by itself is made a block, whose COMMIT is the gateway's.
 *
 * Whatever is not captured here runs as it does in `sync`, and makes its transaction's COMMIT wait for the stream.
 */
import { OpenTransaction } from '../../execute/open-transaction.ts';
import { RowImages } from '../../execute/row-images.ts';
import { Segment } from '../../execute/segment.ts';
import type { InternalReply } from '../../execute/segment.ts';
import type { Route } from '../../route/route.ts';
import { commandComplete } from '../../wire/backend-messages.ts';
import { CUT } from '../../wire/framing.ts';
import type { Verdict } from '../../wire/framing.ts';
import { bindToText, describePortal, execute, parseAs, parseNamed, readName, readParse } from '../../wire/frontend-messages.ts';
import { account } from '../account.ts';
import { commit, rollback, withoutTag } from '../implicit-block.ts';
import type { Leg } from '../leg.ts';
import type { PlaceStatement } from '../place-statement.ts';
import type { PreparedStatement } from '../prepared-statements.ts';
import type { SessionCore } from '../session-core.ts';
import type { TextTraits } from '../text-traits.ts';
import { xidFunction } from '../transaction-control.ts';
import type { TransactionControl } from '../transaction-control.ts';
import { CaptureConditions, capturedTable } from './captured-table.ts';
import type { CapturedTable } from './captured-table.ts';
import { ImageReader } from './image-reader.ts';
import { withReturning } from './returning.ts';

export class CapturedWrites {
  readonly #core: SessionCore;
  readonly #place: PlaceStatement;
  readonly #control: TransactionControl;
  readonly #conditions: CaptureConditions;
  /** What the unnamed portal writes, when it was bound for that. */
  #bound: CapturedTable | undefined;
  /** Of the unit's segment that has `images`. */
  #reader: ImageReader | undefined;

  constructor(core: SessionCore, { place, control }: { readonly place: PlaceStatement; readonly control: TransactionControl }) {
    this.#core = core;
    this.#place = place;
    this.#control = control;
    this.#conditions = new CaptureConditions(core);
  }

  /** A Query of one statement. Undefined: it is not one whose rows can be had. */
  query(traits: TextTraits, route: Route, text: Buffer): Verdict | undefined {
    const core = this.#core;
    const of = capturedTable(core, traits, route);
    const sql = of && withReturning(text.toString(), of.relation, of.hasReturning, xidFunction(core.home));
    if (!of || sql === undefined) return undefined;
    const stop = core.untilDrained();
    if (stop !== undefined) return stop;
    const holds = this.#conditions.holdFor(of);
    if (holds !== true) return holds === false ? undefined : holds;
    const placement = this.#place.place(route, true, true);
    if (placement.verdict !== undefined) return placement.verdict;
    const { leg } = placement;
    const startedAtMs = core.now();
    const isAlone = core.tx === undefined;
    if (isAlone) this.#begin(leg);
    // A default may draw.
    if (core.carried) core.carried.drawnIn = core.tx;
    account(core, placement.route, leg, new Segment(startedAtMs), false);
    const reader = new ImageReader(this.#images(), (bytes) => core.toClient(bytes));
    reader.expect(of, true, true);
    return core.answerLater((done) => core.ask(leg, sql, (reply) => {
      const answered = (answer: Buffer): void => {
        core.services.times.unitEnded('dual', core.now() - startedAtMs);
        core.counts.unitEnded(leg.status, startedAtMs, core.now());
        core.toClient(answer);
        core.ready();
        done();
      };
      if (reply.error && core.tx) core.tx.failedOn ??= 'source';
      if (isAlone) this.#end(reply, answered);
      else answered(Buffer.concat([...reply.notices, reply.error ?? commandComplete(reply.tag)]));
    }, reader));
  }

  #begin(leg: Leg): void {
    const core = this.#core;
    const tx = new OpenTransaction(core.services.view().snapshot, core.now(), 'BEGIN', undefined);
    tx.begun.source = true;
    core.tx = tx;
    core.ask(leg, tx.beginSql, () => undefined);
  }

  #end(reply: InternalReply, answered: (answer: Buffer) => void): void {
    if (reply.error) {
      const { error } = reply;
      return this.#control.run(rollback, 'ROLLBACK', () => answered(Buffer.concat([...reply.notices, error])));
    }
    this.#control.run(commit, 'COMMIT', (answer, failed) => {
      answered(Buffer.concat([...reply.notices, withoutTag(answer), ...(failed ? [] : [commandComplete(reply.tag)])]));
    });
  }

  /** Of the block that is open; one more statement's rows will come. */
  #images(): RowImages {
    const { tx } = this.#core;
    const images = tx?.images ?? new RowImages();
    if (tx) tx.images = images;
    images.statements += 1;
    return images;
  }

  // The extended protocol

  /** The unnamed portal is bound anew. */
  unbound(): void {
    this.#bound = undefined;
  }

  /** A Bind. Undefined: it is not one whose rows can be had. `bound` notes the portal. */
  bind(route: Route, statement: PreparedStatement, buffer: Buffer, start: number, length: number, bound: (leg: Leg) => void): Verdict | undefined {
    const core = this.#core;
    const isUnnamed = readName(buffer, start + 5, start + length) === '';
    const rewritten = isUnnamed ? this.#rewrite(statement, route, buffer, start, length) : undefined;
    const holds = rewritten ? this.#conditions.holdFor(rewritten.of) : false;
    if (!rewritten || holds === false) return this.leaves(false);
    if (holds !== true) return holds;
    const stop = this.leaves(true);
    if (stop !== undefined) return stop;
    const placement = this.#place.place(route, false, true);
    if (placement.verdict !== undefined) return placement.verdict;
    const { leg } = placement;
    const isFirst = !core.unit.executed;
    const segment = core.unitSegment(leg);
    if (!core.tx) core.openImplicitBlock();
    if (core.tx?.isImplicit === true && isFirst && core.tx.images === undefined) core.tx.ran = 0;
    account(core, placement.route, leg, segment, false);
    const images = this.#images();
    if (!segment.images) this.#readFrom(segment, images);
    const name = core.ownStatements.parsedOn(leg.side);
    segment.injectParse();
    core.send(leg, Buffer.concat([parseNamed(rewritten.parse, name), rewritten.bindAs(name)]));
    bound(leg);
    this.#bound = rewritten.of;
    return CUT;
  }

  #rewrite(statement: PreparedStatement, route: Route, buffer: Buffer, start: number, length: number): { of: CapturedTable; parse: Buffer; bindAs: (name: string) => Buffer } | undefined {
    const { origin, traits } = statement;
    const of = origin.type === 'parse' ? capturedTable(this.#core, traits, route) : undefined;
    const parts = of && origin.type === 'parse' ? readParse(origin.message, 0, origin.message.length) : undefined;
    if (!of || !parts || origin.type !== 'parse') return undefined;
    const sql = withReturning(origin.message.toString('utf8', parts.textStart, parts.textEnd), of.relation, of.hasReturning, xidFunction(this.#core.home));
    if (sql === undefined || bindToText(buffer, start, length, '', of.hasReturning) === undefined) return undefined;
    return { of, parse: parseAs(origin.message, parts, '', Buffer.from(sql)), bindAs: (name) => bindToText(buffer, start, length, name, of.hasReturning) ?? Buffer.alloc(0) };
  }

  /** An Execute of the unnamed portal, when it was bound here. */
  execute(leg: Leg, portal: string, limit: number): Verdict | undefined {
    if (portal !== '' || !this.#bound) return this.leaves(false);
    const core = this.#core;
    const stop = this.leaves(true);
    if (stop !== undefined) return stop;
    const segment = core.unitSegment(leg);
    const images = core.tx?.images;
    // What is bound in one unit may be run in the next one of its block.
    if (!segment.images && images) this.#readFrom(segment, images);
    this.#reader?.expect(this.#bound, false, true);
    core.send(leg, describePortal(''));
    if (this.#bound.hasReturning) {
      // Rows that the client has not fetched are written nevertheless.
      if (limit !== 0) images?.lose();
      return core.forward(leg);
    }
    // A limit would suspend it: a statement that gives no rows runs to its end.
    core.send(leg, execute(''));
    return CUT;
  }

  /** A Describe of the unnamed portal, when it was bound here. */
  describe(portal: string): Verdict | undefined {
    if (portal !== '' || !this.#bound) return this.leaves(false);
    const stop = this.leaves(true);
    if (stop !== undefined) return stop;
    const { home, tx, unit } = this.#core;
    if (unit.leg !== undefined && unit.leg !== home) return this.#core.leaveLeg(false);
    const segment = this.#core.unitSegment(home);
    if (!segment.images && tx?.images) this.#readFrom(segment, tx.images);
    this.#reader?.expect(this.#bound, true, false);
    return this.#core.forward(home);
  }

  /** Rows of the client's and rows for the gateway are never in one segment: what has been sent is answered first. */
  leaves(captures: boolean): Verdict | undefined {
    const core = this.#core;
    const { segment, executed } = core.unit;
    if (!segment) return undefined;
    const mixes = captures ? segment.images === undefined && (executed || segment.described) : segment.images !== undefined;
    return mixes ? core.leaveLeg(false) : undefined;
  }

  #readFrom(segment: Segment, images: RowImages): void {
    this.#reader = new ImageReader(images, (bytes) => this.#core.toClient(bytes));
    segment.images = this.#reader;
    segment.plain = false;
  }
}
