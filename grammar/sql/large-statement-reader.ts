/**
 * Reads large statements on a thread of its own, one at a time. The thread is made at the first one, and made anew after each
 * statement that overflowed it or was so large that its memory should be given back (WASM memory never shrinks).
 *
 * States: *idle* (no thread, or a thread with nothing to do), *busy* (one statement at the thread, others queued), *closed*.
 */
import { Worker } from 'node:worker_threads';
import type { NamePlace } from './name-places.ts';
import type { QueryUses } from './relation-uses.ts';
import type { TextFacts, TextRefusal } from './statement-facts.ts';

export interface LargeStatementQuestion {
  readonly text: string;
  readonly wanted: 'facts' | 'places' | 'uses';
}

/** What the thread answers; nothing means overflow. */
export interface LargeStatementAnswer {
  readonly facts?: TextFacts | undefined;
  readonly places?: readonly NamePlace[] | undefined;
  readonly uses?: QueryUses | undefined;
}

interface Waiting {
  readonly question: LargeStatementQuestion;
  readonly settle: (answer: LargeStatementAnswer) => void;
}

const stackSizeMb = 64;
/** Statements waiting behind the one being read: more of them, or of their characters, are refused. */
const maxQueued = 256;
const maxQueuedLength = 64 * 1024 * 1024;
/** A statement of this length leaves several hundred MB behind. */
const renewFrom = 4 * 1024 * 1024;

export class LargeStatementReader implements AsyncDisposable {
  #worker: Worker | undefined;
  #current: Waiting | undefined;
  #closed = false;
  readonly #queue: Waiting[] = [];
  #queuedLength = 0;

  /** Resolves always: what cannot be read is a refusal. */
  async read(text: string): Promise<TextFacts> {
    const { facts } = await this.#ask({ text, wanted: 'facts' });
    return facts ?? refusal('MIG088', 'Statement is nested too deeply for the gateway', 'The parser ran out of stack or memory.', 'Use fewer levels of nesting, or a list such as IN (…) in place of a chain of operators.');
  }

  /** Resolves always; undefined for what cannot be read, now or ever. */
  async places(text: string): Promise<readonly NamePlace[] | undefined> {
    return (await this.#ask({ text, wanted: 'places' })).places;
  }

  /** As `places`. */
  async uses(text: string): Promise<QueryUses | undefined> {
    return (await this.#ask({ text, wanted: 'uses' })).uses;
  }

  #ask(question: LargeStatementQuestion): Promise<LargeStatementAnswer> {
    const { length } = question.text;
    if (this.#closed || this.#queue.length >= maxQueued || (this.#queue.length > 0 && this.#queuedLength + length > maxQueuedLength)) {
      return Promise.resolve({ facts: refusal('MIG085', 'Too many large statements at once', `${this.#queue.length} are waiting to be read.`, 'Try again in a moment.') });
    }
    return new Promise((settle) => {
      this.#queue.push({ question, settle });
      this.#queuedLength += length;
      this.#next();
    });
  }

  #next(): void {
    if (this.#current !== undefined) return;
    const next = this.#queue.shift();
    if (next === undefined) {
      this.#worker?.unref();
      return;
    }
    this.#queuedLength -= next.question.text.length;
    this.#current = next;
    const worker = this.#ensureWorker();
    worker.ref();
    worker.postMessage(next.question);
  }

  #ensureWorker(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(new URL('./large-statement-thread.ts', import.meta.url), { resourceLimits: { stackSizeMb } });
    worker.on('message', (answer: LargeStatementAnswer) => this.#finish(worker, answer));
    worker.on('error', () => this.#finish(worker, {}));
    worker.on('exit', () => this.#finish(worker, {}));
    this.#worker = worker;
    return worker;
  }

  #finish(worker: Worker, answer: LargeStatementAnswer): void {
    // A thread that was given up may still report its end.
    if (worker !== this.#worker) return;
    const current = this.#current;
    const isOverflow = answer.facts === undefined && answer.places === undefined && answer.uses === undefined;
    if (isOverflow || (current !== undefined && current.question.text.length >= renewFrom)) this.#dropWorker();
    this.#current = undefined;
    current?.settle(answer);
    this.#next();
  }

  #dropWorker(): void {
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#worker = undefined;
    for (const waiting of [this.#current, ...this.#queue.splice(0)]) waiting?.settle({ facts: refusal('MIG085', 'The gateway is shutting down', 'The statement was not read.', 'Connect again.') });
    this.#current = undefined;
    await worker?.terminate();
  }
}

function refusal(code: TextRefusal['code'], message: string, detail: string, hint: string): TextFacts {
  return { type: 'invalid', message, refusal: { code, message, detail, hint } };
}
