/**
 * Answers workers that ask when local shows all that the sources of some tables have committed by now: the end of a source's log is read after the question has come, once for all
 * questions that wait for it, and the answer goes out when the forward stream has told that it is visible up to there. A source that cannot be asked is asked again: the worker knows how long it waits.
 */
import type { Catalog } from '../../catalog/catalog.ts';
import { orderOf } from '../../cdc/change.ts';
import type { VisibleAdvance } from '../../cdc/ports.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { SourceFlow } from './source-flow.ts';
import { routedKeys } from './table-details.ts';
import type { FleetWorker } from './worker-fleet.ts';

const RETRY_MS = 100;

interface Question {
  readonly worker: FleetWorker;
  readonly id: number;
  /** Sources of which it is not known yet. */
  open: number;
}

export class CaughtUp {
  readonly #runtime: Runtime;
  readonly #catalog: Catalog;
  readonly #epoch: () => number;
  readonly #flow: (serverName: string) => Promise<SourceFlow>;
  readonly #progress = new Map<string, Promise<FlowProgress>>();
  /** Of each table its source, as of the routing's epoch. */
  #servers: { readonly epoch: number; readonly of: Promise<ReadonlyMap<string, string>> } | undefined;

  constructor(runtime: Runtime, catalog: Catalog, epoch: () => number, flow: (serverName: string) => Promise<SourceFlow>) {
    this.#runtime = runtime;
    this.#catalog = catalog;
    this.#epoch = epoch;
    this.#flow = flow;
  }

  ask(worker: FleetWorker, id: number, tables: readonly string[]): void {
    this.#ask({ worker, id, open: 0 }, tables).catch((error: unknown) => this.#runtime.log.warn('how far local shows a source could not be told', { error: String(error) }));
  }

  /** The worker is gone, and asks again when it is back. */
  forget(workerId: string): void {
    for (const progress of this.#progress.values()) progress.then((known) => known.forget(workerId), () => undefined);
  }

  async #ask(question: Question, tables: readonly string[]): Promise<void> {
    const servers = await this.#serversOf(tables);
    question.open = servers.length;
    // Tables that are in no migration any more: nobody reads them on local for the source's sake.
    if (servers.length === 0) return answer(question);
    for (const server of servers) (await this.#progressOf(server)).add(question);
  }

  async #serversOf(tables: readonly string[]): Promise<readonly string[]> {
    const epoch = this.#epoch();
    if (this.#servers?.epoch !== epoch) this.#servers = { epoch, of: this.#readServers() };
    const known = this.#servers;
    try {
      const byTable = await known.of;
      return [...new Set(tables.flatMap((table) => byTable.get(table) ?? []))];
    } catch (error) {
      if (this.#servers === known) this.#servers = undefined;
      throw error;
    }
  }

  async #readServers(): Promise<ReadonlyMap<string, string>> {
    return new Map((await this.#catalog.tables()).flatMap((record) => routedKeys(record).map((key) => [key, record.sourceServer] as const)));
  }

  #progressOf(server: string): Promise<FlowProgress> {
    const known = this.#progress.get(server);
    if (known) return known;
    const made = this.#flow(server).then((flow) => new FlowProgress(this.#runtime, flow));
    this.#progress.set(server, made);
    made.catch(() => this.#progress.delete(server));
    return made;
  }
}

/** Of one source: what is asked, and how far local shows it. */
class FlowProgress {
  readonly #runtime: Runtime;
  readonly #forward: SourceFlow['forward'];
  /** The log's end is read for these next. */
  #asked: Question[] = [];
  #waiting: { readonly order: bigint; readonly questions: readonly Question[] }[] = [];
  #visible: bigint;
  #isReading = false;

  constructor(runtime: Runtime, { forward }: SourceFlow) {
    this.#runtime = runtime;
    this.#forward = forward;
    const { visible } = forward.health();
    this.#visible = visible ? orderOf(visible) : 0n;
    forward.onVisible((advance) => this.#advanced(advance));
  }

  add(question: Question): void {
    this.#asked.push(question);
    if (!this.#isReading) void this.#read();
  }

  forget(workerId: string): void {
    const isOther = ({ worker }: Question): boolean => worker.workerId !== workerId;
    this.#asked = this.#asked.filter(isOther);
    this.#waiting = this.#waiting.map(({ order, questions }) => ({ order, questions: questions.filter(isOther) })).filter(({ questions }) => questions.length > 0);
  }

  async #read(): Promise<void> {
    const { clock, log, signal } = this.#runtime;
    this.#isReading = true;
    while (this.#asked.length > 0 && !signal.aborted) {
      const questions = this.#asked.splice(0);
      try {
        const order = orderOf(await this.#forward.readEnd());
        // Only now: what waits has become another list while the source was asked.
        this.#waiting.push({ order, questions });
        this.#answer();
      } catch (error) {
        this.#asked.unshift(...questions);
        log.debug('the end of the log of a source could not be read yet', { error: String(error) });
        await clock.sleep(RETRY_MS, signal).catch(() => undefined);
      }
    }
    this.#isReading = false;
  }

  /** Behind a reset local may show less than before. */
  #advanced({ position }: VisibleAdvance): void {
    this.#visible = orderOf(position);
    this.#answer();
  }

  #answer(): void {
    const visible = this.#visible;
    if (!this.#waiting.some(({ order }) => order <= visible)) return;
    const due = this.#waiting.filter(({ order }) => order <= visible);
    this.#waiting = this.#waiting.filter(({ order }) => order > visible);
    for (const question of due.flatMap(({ questions }) => questions)) {
      question.open -= 1;
      if (question.open === 0) answer(question);
    }
  }
}

function answer({ worker, id }: Question): void {
  worker.channel.send({ type: 'caught_up', id });
}
