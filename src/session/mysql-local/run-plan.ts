/**
 * Runs the steps of a translated statement on local, as one statement: all of it happens, or nothing.
 *
 * States: (begun →) step 1 … step n → (closed: committed, or its savepoint released) → over; a step that fails undoes the statement first.
 */
import type { MysqlPlan, MysqlStep } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { bindMessages } from './bind-messages.ts';
import type { LocalLink, LocalReply } from './local-link.ts';
import type { ResultRows } from './result-rows.ts';
import type { BoundValue, PlanValues } from './plan-values.ts';

/** `none`: one step, which commits by itself. `transaction`: of its own. `savepoint`: within the session's, which an error leaves as it was. */
export type PlanFrame = 'none' | 'transaction' | 'savepoint';

export type PlanFailure = Exclude<LocalReply, { type: 'done' }> | Exclude<BoundValue, { type: 'value' }> | { readonly type: 'fault'; readonly error: Error };

/** What the steps have answered, by their place; rows of `keys` steps alone. */
export interface PlanAnswer {
  readonly rows: readonly (readonly (readonly (string | null)[])[])[];
  readonly tags: readonly string[];
}

export interface PlanRequest {
  readonly link: LocalLink;
  readonly plan: MysqlPlan;
  readonly values: PlanValues;
  readonly frame: PlanFrame;
  /** Takes the rows of the step that answers. */
  readonly rows: ResultRows | undefined;
  readonly done: (outcome: PlanAnswer | PlanFailure) => void;
}

const MOST_ATTEMPTS = 10;
const SAVEPOINT = 'causeway_statement';
const opens: Readonly<Record<PlanFrame, string>> = { none: '', transaction: 'BEGIN ISOLATION LEVEL REPEATABLE READ', savepoint: `SAVEPOINT ${SAVEPOINT}` };
const closes: Readonly<Record<PlanFrame, string>> = { none: '', transaction: 'COMMIT', savepoint: `RELEASE SAVEPOINT ${SAVEPOINT}` };
const undoes: Readonly<Record<PlanFrame, string>> = { none: '', transaction: 'ROLLBACK', savepoint: `ROLLBACK TO SAVEPOINT ${SAVEPOINT}; RELEASE SAVEPOINT ${SAVEPOINT}` };

export class PlanRun {
  readonly #request: PlanRequest;
  #rows: (readonly (readonly (string | null)[])[])[] = [];
  #tags: string[] = [];
  #failure: PlanFailure | undefined;
  #attempt = 0;

  constructor(request: PlanRequest) {
    this.#request = request;
  }

  start(): void {
    this.#attempt += 1;
    this.#rows = [];
    this.#tags = [];
    this.#failure = undefined;
    const first = this.#bind(0);
    if (!Array.isArray(first)) return this.#request.done(first);
    const { frame, link } = this.#request;
    if (frame !== 'none') link.query(opens[frame], (reply) => this.#isOver(reply));
    this.#send(0, first);
  }

  /** Of a part that says nothing of the statement itself. */
  #isOver(reply: LocalReply): void {
    if (reply.type !== 'done') this.#failure ??= reply;
  }

  #bind(index: number): (string | null)[] | PlanFailure {
    const { plan: { steps }, values } = this.#request;
    const bound: (string | null)[] = [];
    for (const slot of steps[index]?.slots ?? []) {
      const value = values.of(slot, this.#rows);
      if (value.type !== 'value') return value;
      // PostgreSQL's texts have no such character.
      if (value.text?.includes('\0') === true) return { type: 'refused_value', construct: 'a text with the character U+0000' };
      bound.push(value.text);
    }
    return bound;
  }

  #send(index: number, values: readonly (string | null)[]): void {
    const { plan: { steps }, link, frame, rows } = this.#request;
    const step = steps[index];
    if (!step) return;
    const isLast = index === steps.length - 1;
    link.send(bindMessages(step.text, values), (reply) => this.#answered(index, step, reply, isLast), step.answer === 'rows' ? rows : undefined);
    if (isLast && frame !== 'none') link.query(closes[frame], (reply) => this.#closed(reply));
  }

  #answered(index: number, { answer }: MysqlStep, reply: LocalReply, isLast: boolean): void {
    const { frame, rows } = this.#request;
    if (reply.type === 'done') {
      this.#rows[index] = answer === 'keys' ? reply.rows : answer === 'rows' ? rows?.kept ?? [] : [];
      this.#tags[index] = reply.tag;
      if (answer === 'rows' && rows?.fault) this.#failure ??= { type: 'fault', error: rows.fault };
    } else this.#failure ??= reply;
    if (isLast && frame === 'none') return this.#end();
    if (isLast) return;
    if (this.#failure) return this.#undo();
    const next = this.#bind(index + 1);
    if (Array.isArray(next)) return this.#send(index + 1, next);
    this.#failure = next;
    this.#undo();
  }

  #closed(reply: LocalReply): void {
    if (this.#failure && this.#failure.type !== 'fault') {
      // A COMMIT behind an error has rolled back.
      if (this.#request.frame === 'transaction' || this.#isGone) return this.#end();
      return this.#undo();
    }
    this.#isOver(reply);
    this.#end();
  }

  get #isGone(): boolean {
    return this.#failure?.type === 'lost' || this.#failure?.type === 'refused';
  }

  #undo(): void {
    const { frame, link } = this.#request;
    if (frame === 'none' || this.#isGone) return this.#end();
    link.query(undoes[frame], (reply) => {
      if (reply.type === 'lost') this.#failure = reply;
      this.#end();
    });
  }

  #end(): void {
    const { done, frame, rows } = this.#request;
    const failure = this.#failure;
    // Nobody has seen anything of it: as if it had come a moment later.
    if (failure?.type === 'error' && frame === 'transaction' && failure.fields.get('C') === '40001' && rows?.hasBegun !== true && this.#attempt < MOST_ATTEMPTS) return this.start();
    done(failure ?? { rows: this.#rows, tags: this.#tags });
  }
}
