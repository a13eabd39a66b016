/** How many writes of a table wait in the log to be sent. The log keeps no count per table, so the writes are read when somebody asks, all tables at once; the proxy's clients wait meanwhile. */
import type { Clock } from '../../../config/runtime.ts';
import type { CqlStatement } from '../../../grammar/cql/statement.ts';
import type { IntentLog } from '../intents/intent-log.ts';
import { textsOf } from '../intents/intent-texts.ts';

/** More than these are of a cluster that has been away, and count as everybody's. */
const MOST_READ = 1000;
/** Share of the proxy's time that looking again and again may take. */
const PAUSE_PER_SCAN = 20;

/** Under the empty name those that cannot be read, or whose tables are not known: they count for every table. */
type Counts = ReadonlyMap<string, number>;

export class QueuedWrites {
  readonly #log: Pick<IntentLog, 'nextReleased' | 'read' | 'state'>;
  readonly #read: (text: string) => CqlStatement;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #counts: Counts = new Map();
  #countedMs = -Infinity;
  #tookMs = 0;

  constructor(log: Pick<IntentLog, 'nextReleased' | 'read' | 'state'>, read: (text: string) => CqlStatement, clock: Pick<Clock, 'monotonicMs'>) {
    this.#log = log;
    this.#read = read;
    this.#clock = clock;
  }

  /** Writes that are in the proxy's hand are not seen. `ageMs`: how old the count may be. */
  of(table: string, ageMs = 0): number {
    const { released } = this.#log.state();
    if (released === 0 || released > MOST_READ) return released;
    if (this.#clock.monotonicMs() - this.#countedMs > ageMs || ageMs === 0) this.#count();
    return (this.#counts.get(table) ?? 0) + (this.#counts.get('') ?? 0);
  }

  /** Between two looks of one who waits. */
  get pauseMs(): number {
    return this.#tookMs * PAUSE_PER_SCAN;
  }

  #count(): void {
    const begunMs = this.#clock.monotonicMs();
    const counts = new Map<string, number>();
    for (let ticket = this.#log.nextReleased(-1); ticket >= 0; ticket = this.#log.nextReleased(ticket)) {
      for (const table of this.#tablesOf(ticket)) counts.set(table, (counts.get(table) ?? 0) + 1);
    }
    this.#counts = counts;
    this.#countedMs = this.#clock.monotonicMs();
    this.#tookMs = this.#countedMs - begunMs;
  }

  #tablesOf(ticket: number): readonly string[] {
    try {
      const intent = this.#log.read(ticket);
      if (intent === undefined) return [];
      const { tables } = textsOf(intent, this.#read);
      return tables.length === 0 ? [''] : tables;
    } catch {
      return [''];
    }
  }
}
