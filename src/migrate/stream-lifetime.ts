/** The two streams of a server run from when a table first needs them until none does any more. */
import type { Catalog } from '../../catalog/catalog.ts';
import { Turnstile } from '../../cdc/flow/turnstile.ts';
import type { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';

export interface StreamSwitches {
  /** Start the loops of the streams; idempotent. */
  readonly runForward: () => void;
  readonly runReverse: () => Promise<void>;
  /** Why the forward stream has stopped for good. */
  readonly forwardFailure: () => MigrationError | undefined;
  /** Ends it, and removes what it has on the servers; `runForward` begins from nothing. */
  readonly endForward: () => Promise<void>;
  /** Stops both and removes what they have on the servers. */
  readonly endStreams: () => Promise<void>;
}

export class StreamLifetime {
  readonly #runtime: Runtime;
  readonly #catalog: Catalog;
  readonly #serverName: string;
  readonly #switches: StreamSwitches;
  /** Held while streams are started or ended. */
  readonly #turn = new Turnstile(1);
  #mayRun = true;

  constructor(runtime: Runtime, catalog: Catalog, serverName: string, switches: StreamSwitches) {
    this.#runtime = runtime;
    this.#catalog = catalog;
    this.#serverName = serverName;
    this.#switches = switches;
  }

  runForward(): Promise<void> {
    return this.#start(() => this.#switches.runForward());
  }

  runReverse(): Promise<void> {
    return this.#start(() => this.#switches.runReverse());
  }

  /** Why the forward stream has stopped for good; its tables have lost changes, or may have. */
  get forwardFailure(): MigrationError | undefined {
    return this.#switches.forwardFailure();
  }

  /** A new slot, and no table in it. */
  restartForward(): Promise<void> {
    return this.#start(async () => {
      await this.#switches.endForward();
      this.#switches.runForward();
    });
  }

  /** Without a table that needs them nothing of the streams stays on the servers: a slot that nobody reads would keep all WAL. */
  async endUnused(): Promise<void> {
    if (!this.#mayRun) return;
    await this.#alone(async () => {
      const records = await this.#catalog.tables();
      if (records.some((record) => record.sourceServer === this.#serverName && record.completedAt === undefined)) return;
      await this.#switches.endStreams();
      this.#mayRun = false;
    });
  }

  #start(start: () => void | Promise<void>): Promise<void> {
    return this.#alone(async () => {
      this.#mayRun = true;
      await start();
    });
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    const leave = await this.#turn.enter(this.#runtime.signal);
    try {
      await work();
    } finally {
      leave();
    }
  }
}
