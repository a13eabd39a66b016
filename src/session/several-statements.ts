/**
 * A simple query with several statements that cannot go to one leg as it is: they are run one by one, in the transaction that a server makes of such
 * a text (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT).
 *
 * Its message stays with the session meanwhile. States: its statements are looked for → each is run, and its answer awaited → an error, or the end of the
 * last one, ends the transaction that has no BEGIN; then the client gets its ReadyForQuery.
 */
import { MigrationError } from '../../config/migration-error.ts';
import { madeOf, partOf } from '../../grammar/sql/rename-relations.ts';
import type { RenamedText } from '../../grammar/sql/rename-relations.ts';
import type { StatementFacts } from '../../grammar/sql/statement-facts.ts';
import { OpenTransaction } from '../execute/open-transaction.ts';
import type { Segment } from '../execute/segment.ts';
import type { Route } from '../route/route.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import { CUT, STOP } from '../wire/framing.ts';
import type { Verdict } from '../wire/framing.ts';
import { transactionAborted } from './client-error.ts';
import { endImplicit } from './implicit-block.ts';
import type { SessionCore } from './session-core.ts';
import { executedBy, isTransactionControl, traitsOf } from './text-traits.ts';
import type { TextTraits } from './text-traits.ts';
import type { TransactionControl } from './transaction-control.ts';

export interface Part {
  readonly text: RenamedText;
  readonly traits: TextTraits;
}

interface Running {
  readonly text: Buffer;
  /** Undefined while they are looked for. */
  parts: readonly Part[] | undefined;
  next: number;
  /** Of the statement sent last. */
  segment: Segment | undefined;
}

export class SeveralStatements {
  readonly #core: SessionCore;
  readonly #control: TransactionControl;
  /** Sends one statement: CUT once it is sent or refused. */
  readonly #send: (part: Part) => Verdict;
  readonly #sent: () => void;
  #running: Running | undefined;

  constructor(core: SessionCore, control: TransactionControl, send: (part: Part) => Verdict, sent: () => void) {
    this.#core = core;
    this.#control = control;
    this.#send = send;
    this.#sent = sent;
  }

  /** The message at hand is such a text, and has begun. */
  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** `text` is a view of the client's. */
  start(text: Buffer, traits: TextTraits): Verdict {
    const core = this.#core;
    const stop = core.untilDrained();
    if (stop !== undefined) return stop;
    if (traits.hasCopyFrom) return core.refuse(copyAmongOthers, true);
    const running: Running = { text: Buffer.from(text), parts: undefined, next: 0, segment: undefined };
    this.#running = running;
    void this.#read(running);
    return core.wait('facts');
  }

  resume(): Verdict {
    const core = this.#core;
    for (;;) {
      const running = this.#running;
      if (!running) return CUT;
      if (!running.parts) return core.wait('facts');
      const stop = core.untilDrained();
      if (stop !== undefined) return stop;
      const part = core.unit.skipping ? undefined : running.parts[running.next];
      if (!part) return this.#end();
      core.partOf = part.text;
      const verdict = this.#run(part, running);
      if (verdict === STOP) return verdict;
      running.next += 1;
      this.#sent();
    }
  }

  /** A statement's own end is not the text's; of the last one a server says that it is done once the transaction is, too. */
  sends(segment: Segment): void {
    segment.swallowReady = true;
    segment.plain = false;
    const running = this.#running;
    if (!running) return;
    segment.keepsTag = this.#core.tx?.isImplicit === true && running.next + 1 === running.parts?.length;
    running.segment = segment;
  }

  /** The statement at hand is answered elsewhere; the text goes on when `answer` has proceeded. */
  answersLater(): Verdict {
    if (this.#running) this.#running.next += 1;
    this.#sent();
    return this.#core.wait('answer');
  }

  async #read(running: Running): Promise<void> {
    const { facts } = this.#core.services;
    const uses = await facts.uses(running.text.toString('utf8'));
    const parts: Part[] = [];
    for (const { start, end } of uses?.statements ?? []) {
      const text = partOf(running.text, start, end);
      parts.push({ text, traits: traitsOf(await facts.facts(text.bytes, 0, text.bytes.length)) });
    }
    running.parts = parts;
    if (parts.length === 0) this.#core.refuse(new MigrationError('MIG085', 'Too many large statements at once', { detail: 'The statements of the text have to be told apart.', hint: 'Try again in a moment.' }), false);
    this.#core.proceed('facts');
  }

  #run(part: Part, running: Running): Verdict {
    const core = this.#core;
    const { single } = part.traits;
    if (single && isTransactionControl(single)) return this.#controlled(part, single, running);
    if (core.tx?.failedOn !== undefined) return core.refuseWith(transactionAborted, false);
    this.#openImplicit();
    return this.#send(part);
  }

  #controlled({ text }: Part, facts: StatementFacts, running: Running): Verdict {
    const core = this.#core;
    if (!startsOrEnds.has(facts.kind)) this.#openImplicit();
    const inBlockOnly = core.tx === undefined || core.tx.isImplicit ? nameOf(facts) : undefined;
    if (inBlockOnly !== undefined) return core.refuseWith(noBlock(inBlockOnly), false);
    running.next += 1;
    this.#control.run(facts, text.bytes.toString('utf8'), (answer, failed) => {
      core.toClient(answer);
      core.unit.skipping ||= failed;
      queueMicrotask(() => core.proceed('answer'));
    });
    return core.wait('answer');
  }

  #openImplicit(): void {
    const core = this.#core;
    if (core.tx) return;
    core.tx = new OpenTransaction(core.services.view().snapshot, core.now(), 'BEGIN', undefined);
    core.tx.isImplicit = true;
  }

  #end(): Verdict {
    const core = this.#core;
    const isFailed = core.unit.skipping;
    const tag = this.#running?.segment?.tag;
    this.#running = undefined;
    core.partOf = undefined;
    core.endUnit();
    if (core.tx?.isImplicit === true) return core.answerLater((done) => endImplicit(core, this.#control, isFailed, (failed) => {
      if (tag && !failed) core.toClient(tag);
      core.ready();
      done();
    }));
    core.ready();
    return CUT;
  }
}

/** Whether a text with several statements, routed so as a whole, would not do on that leg what it says. */
export function runsOneByOne(core: SessionCore, { statements, hasTransactionControl }: TextTraits, route: Route): boolean {
  if (statements.length < 2) return false;
  if (route.type === 'mysql') return true;
  if (route.type === 'refuse') return route.code === 'MIG080' || route.code === 'MIG081';
  if (route.type !== 'leg' || core.services.view().trivial) return false;
  const side = route.leg === 'local' ? 'local' : 'source';
  // It would end the block on one leg of two.
  if (hasTransactionControl && core.tx?.sides.some((begun) => begun !== side)) return true;
  return core.services.view().usesLocal && statements.some((facts) => keptBySession.has(facts.kind) || (side === 'local' && (setsSession.has(facts.kind) || facts.flags.sessionEffect)) || namesKept(core, facts));
}

/** What runs on all legs, or may have to be made on another one later: by itself, or that would get the whole text. */
const keptBySession: ReadonlySet<StatementFacts['kind']> = new Set(['listen', 'unlisten', 'discard', 'deallocate', 'prepare']);
/** What the home leg has to know, and the other learns from it. */
const setsSession: ReadonlySet<StatementFacts['kind']> = new Set(['set', 'reset']);

/** A cursor or a prepared statement, which has its own side. */
function namesKept({ cursors, statements }: SessionCore, facts: StatementFacts): boolean {
  const name = executedBy(facts);
  if (name !== undefined) return statements.get(name) !== undefined;
  return (facts.kind === 'fetch' || facts.kind === 'close_cursor') && (facts.objectName === undefined ? cursors.size > 0 : cursors.has(facts.objectName));
}

/** A statement of a text, as it is sent. */
export function ofPart(part: Part, named: RenamedText | undefined): RenamedText {
  return named ? madeOf(named, part.text) : part.text;
}

const startsOrEnds: ReadonlySet<StatementFacts['kind']> = new Set(['begin', 'commit', 'rollback']);

/** Of what needs a BEGIN before it. */
function nameOf(facts: StatementFacts): string | undefined {
  switch (facts.kind) {
    case 'savepoint': return 'SAVEPOINT';
    case 'release': return 'RELEASE SAVEPOINT';
    case 'rollback_to': return 'ROLLBACK TO SAVEPOINT';
    case 'commit': return facts.transaction?.chain ? 'COMMIT AND CHAIN' : undefined;
    case 'rollback': return facts.transaction?.chain ? 'ROLLBACK AND CHAIN' : undefined;
    default: return undefined;
  }
}

const noBlock = (name: string): ErrorFields => ({ severity: 'ERROR', sqlstate: '25P01', message: `${name} can only be used in transaction blocks` });

const copyAmongOthers = new MigrationError('MIG080', 'COPY FROM cannot be in a text whose statements are on both sides', { detail: 'Its data would be waited for between two statements.', hint: 'Send it by itself.' });
