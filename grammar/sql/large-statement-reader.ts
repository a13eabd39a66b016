/**
 * Reads large statements on a thread of its own, one at a time. The thread is made at the first one, and made anew after each
 * statement that overflowed it or was so large that its memory should be given back (WASM memory never shrinks).
 *
 * States: *idle* (no thread, or a thread with nothing to do), *busy* (one statement at the thread, others queued), *closed*.
 */
import { Worker } from 'node:worker_threads';
import type { TextFacts } from './statement-facts.ts';

/** What the thread answers; `undefined` facts mean overflow. */
export interface LargeStatementAnswer {
  readonly facts: TextFacts | undefined;
}

interface Waiting {
  readonly text: string;
  readonly settle: (facts: TextFacts) => void;
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
  read(text: string): Promise<TextFacts> {
    if (this.#closed || this.#queue.length >= maxQueued || this.#queuedLength + text.length > maxQueuedLength) {
      return Promise.resolve(refusal('Too many large statements at once', `${this.#queue.length} are waiting to be read.`, 'Try again in a moment.'));
    }
    return new Promise((settle) => {
      this.#queue.push({ text, settle });
      this.#queuedLength += text.length;
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
    this.#queuedLength -= next.text.length;
    this.#current = next;
    const worker = this.#ensureWorker();
    worker.ref();
    worker.postMessage(next.text);
  }

  #ensureWorker(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(new URL('./large-statement-thread.ts', import.meta.url), { resourceLimits: { stackSizeMb } });
    worker.on('message', (answer: LargeStatementAnswer) => this.#finish(worker, answer.facts));
    worker.on('error', () => this.#finish(worker, undefined));
    worker.on('exit', () => this.#finish(worker, undefined));
    this.#worker = worker;
    return worker;
  }

  #finish(worker: Worker, facts: TextFacts | undefined): void {
    // A thread that was given up may still report its end.
    if (worker !== this.#worker) return;
    const current = this.#current;
    if (facts === undefined || (current !== undefined && current.text.length >= renewFrom)) this.#dropWorker();
    this.#current = undefined;
    current?.settle(facts ?? refusal('Statement is nested too deeply for the gateway', 'The parser ran out of stack or memory.', 'Use fewer levels of nesting, or a list such as IN (…) in place of a chain of operators.'));
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
    for (const waiting of [this.#current, ...this.#queue.splice(0)]) waiting?.settle(refusal('The gateway is shutting down', 'The statement was not read.', 'Connect again.'));
    this.#current = undefined;
    await worker?.terminate();
  }
}

function refusal(message: string, detail: string, hint: string): TextFacts {
  return { type: 'invalid', message, refusal: { code: 'MIG085', message, detail, hint } };
}
