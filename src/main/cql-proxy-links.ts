/** All proxies of a group, as the commands beside them speak with them: `--proxy URL,URL`. */
import type { ComparisonReport } from '../../cdc/cassandra/compare/comparison-report.ts';
import type { LoadProgress } from '../../cdc/cassandra/load/load-progress.ts';
import { ProxyLink } from './cql-proxy-link.ts';
import type { Held } from './cql-proxy-link.ts';

export class ProxyLinks {
  readonly #links: readonly ProxyLink[];

  private constructor(links: readonly ProxyLink[]) {
    this.#links = links;
  }

  /** Undefined without a URL. Throws when one of them cannot be reached. */
  static async open(urls: string | undefined, looksAtEveryRow: boolean): Promise<ProxyLinks | undefined> {
    if (urls === undefined) return undefined;
    return new ProxyLinks(await Promise.all(urls.split(',').map((url) => ProxyLink.open(url.trim(), looksAtEveryRow))));
  }

  /** A line of each for the operator; rejects when one did not hear it, after the others have. */
  async tell(report: ComparisonReport, beganAt: number): Promise<string> {
    return (await all(this.#links, (link) => link.tell(report, beganAt))).join('\n');
  }

  async progress(progress: LoadProgress, ended: boolean): Promise<void> {
    await all(this.#links, (link) => link.progress(progress, ended));
  }

  /** Rejects when one of the tables is read from the target at one of them; then none is held. */
  async hold(tables: readonly string[]): Promise<Held> {
    await using holds = new AsyncDisposableStack();
    const held: Held[] = [];
    for (const link of this.#links) held.push(holds.use(await link.hold(tables)));
    const kept = holds.move();
    return { lost: AbortSignal.any(held.map(({ lost }) => lost)), [Symbol.asyncDispose]: () => kept.disposeAsync() };
  }
}

async function all<T>(links: readonly ProxyLink[], ask: (link: ProxyLink) => Promise<T>): Promise<T[]> {
  return (await Promise.allSettled(links.map(ask))).map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
}
