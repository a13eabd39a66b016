/** The running proxy, as the commands beside it speak with it: what a comparison found stands against its switches, or no longer does. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ComparisonReport, TableComparison } from '../../cdc/cassandra/compare/comparison-report.ts';
import type { LoadProgress } from '../../cdc/cassandra/load/load-progress.ts';
import { discrepancyTypes } from '../../cdc/cassandra/compare/discrepancy.ts';
import { loaderReport } from './load-once.ts';

const ATTEMPTS = 4;
const PAUSE_MS = 500;
const ANSWER_MS = 10_000;
/** Longer than the scan goes on without the proxy's word. */
const HOLD_MS = 60_000;
const RENEW_MS = 5000;
const MOST_SILENCE_MS = 30_000;

/** Tables that the proxy does not switch to the target; `lost` is aborted when it can no longer be relied on. */
export interface Held extends AsyncDisposable {
  readonly lost: AbortSignal;
}

export class ProxyLink {
  readonly #url: string;
  readonly #looksAtEveryRow: boolean;
  /** From this process' monotonic clock to the proxy's; never too great, since the proxy looked at its clock before its answer was here. */
  #aheadMs = 0;

  /** `looksAtEveryRow`: a range that was read was read without leaving rows out. */
  private constructor(url: string, looksAtEveryRow: boolean) {
    this.#url = url;
    this.#looksAtEveryRow = looksAtEveryRow;
  }

  /** Throws when it cannot be reached. */
  static async open(url: string, looksAtEveryRow: boolean): Promise<ProxyLink> {
    if (!URL.canParse(url)) throw new Error(`--proxy: expected the URL of the proxy's HTTP API, such as http://127.0.0.1:8080, not "${url}"`);
    const link = new ProxyLink(url.replace(/\/+$/, ''), looksAtEveryRow);
    await link.#compareClocks();
    return link;
  }

  /** `beganAt`: `performance.now()` from before the comparison's first row was read. Resolves with a line for the operator; rejects when the proxy did not hear it. */
  async tell(report: ComparisonReport, beganAt: number): Promise<string> {
    const before = this.#aheadMs;
    await this.#compareClocks();
    // Where one of the clocks was set meanwhile the earlier begin is the safe one.
    const ahead = Math.min(before, this.#aheadMs);
    const { blocking, repairs_removed: removed } = await this.#ask('POST', '/validation', { mode: report.mode, began_ms: Math.max(0, beganAt + ahead), tables: report.tables.map((table) => this.#verdictOf(report, table)) }) as { readonly blocking: readonly string[]; readonly repairs_removed: number };
    const repaired = removed === 0 ? '' : `; ${removed} writes are off its repair list`;
    return `the proxy has heard it: ${blocking.length === 0 ? 'no validation stands against a switch' : `a switch is refused for ${blocking.join(', ')}`}${repaired}`;
  }

  /** Of a load, for the proxy's dashboard. What it did not hear it hears with the next. */
  async progress(progress: LoadProgress, ended: boolean): Promise<void> {
    const { share, rows, rowsPerSecond, remainingMs, tablesDone, tablesTotal, hasEnded } = loaderReport(progress, ended);
    await this.#ask('POST', '/loader/progress', { share, rows, rows_per_second: rowsPerSecond, remaining_ms: remainingMs ?? null, tables_completed: tablesDone, tables: tablesTotal, ended: hasEnded });
  }

  /** Rejects when one of the tables is read from the target. */
  async hold(tables: readonly string[]): Promise<Held> {
    const ask = (forMs: number): Promise<unknown> => this.#ask('POST', '/scan/hold', { tables, for_ms: forMs });
    await ask(HOLD_MS);
    const lost = new AbortController();
    let heardMs = performance.now();
    let renewed: Promise<void> | undefined;
    const renewal = setInterval(() => {
      const askedMs = performance.now();
      renewed ??= ask(HOLD_MS).then(() => void (heardMs = askedMs), (error: unknown) => {
        if (error instanceof RefusedByProxy || performance.now() - heardMs > MOST_SILENCE_MS) lost.abort(error);
      }).finally(() => (renewed = undefined));
      if (askedMs - heardMs > MOST_SILENCE_MS) lost.abort(new Error(`the proxy at ${this.#url} does not say whether the source is still the one that is read`));
    }, RENEW_MS);
    return {
      lost: lost.signal,
      [Symbol.asyncDispose]: async () => {
        clearInterval(renewal);
        // One that is on its way would come after the release.
        await renewed;
        await ask(0).catch(() => undefined);
      },
    };
  }

  #verdictOf({ mode }: ComparisonReport, { table, rowsSource, rowsTarget, rowsDifferent, repaired, unsettled, shareOfRing, counts, error }: TableComparison): unknown {
    const found = discrepancyTypes.filter((type) => counts[type] > 0).map((type) => `${type} ${counts[type]}`);
    return {
      table, passed: rowsDifferent === repaired && unsettled === 0 && error === undefined, whole: this.#looksAtEveryRow && mode !== 'RecentWrites' && shareOfRing >= 1 && error === undefined, share: shareOfRing,
      rows: Math.max(rowsSource, rowsTarget), different: rowsDifferent,
      summary: `${mode}: ${rowsDifferent} rows different${found.length === 0 ? '' : ` (${found.join(', ')})`}, ${repaired} repaired, ${unsettled} unsettled${error === undefined ? '' : `; ${error}`}`.slice(0, 2000),
    };
  }

  async #compareClocks(): Promise<void> {
    const { now_ms: nowMs } = await this.#ask('GET', '/repairs') as { readonly now_ms: number };
    this.#aheadMs = nowMs - performance.now();
  }

  async #ask(method: string, path: string, body?: unknown): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const response = await fetch(`${this.#url}${path}`, { method, signal: AbortSignal.timeout(ANSWER_MS), ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }) });
        const text = await response.text();
        if (response.ok) return JSON.parse(text) as unknown;
        // A request that is wrong now is wrong the next time.
        if (response.status >= 400 && response.status < 500) throw new RefusedByProxy(`the proxy at ${this.#url} refuses: ${text.trim().slice(0, 500)}`);
        throw new Error(`${response.status} ${text.trim().slice(0, 500)}`);
      } catch (error) {
        if (error instanceof RefusedByProxy) throw error;
        if (attempt < ATTEMPTS) {
          await delay(PAUSE_MS);
          continue;
        }
        throw new Error(`the proxy at ${this.#url} was not told: ${reasonOf(error)}`, { cause: error });
      }
    }
  }
}

class RefusedByProxy extends Error {}

/** A load's progress on its way to the proxy: one at a time, the newest; a proxy that does not hear it does not hold up the load. */
export class Telling {
  readonly #proxy: Pick<ProxyLink, 'progress'> | undefined;
  readonly #say: (line: string) => void;
  #under: Promise<void> | undefined;

  constructor(proxy: Pick<ProxyLink, 'progress'> | undefined, say: (line: string) => void) {
    this.#proxy = proxy;
    this.#say = say;
  }

  tell(progress: LoadProgress): void {
    if (!this.#proxy || this.#under) return;
    this.#under = this.#send(progress, false);
  }

  /** After the last row: it has ended, however it did. */
  async end(progress: LoadProgress): Promise<void> {
    await this.#under;
    await this.#send(progress, true);
  }

  async #send(progress: LoadProgress, hasEnded: boolean): Promise<void> {
    await this.#proxy?.progress(progress, hasEnded).catch((error: unknown) => this.#say(error instanceof Error ? error.message : String(error)));
    this.#under = undefined;
  }
}

/** `fetch` hides why behind "fetch failed". */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
