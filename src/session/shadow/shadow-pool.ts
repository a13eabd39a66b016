/** The few connections on which reads are asked again: by side and login, kept for a while after their last use. */
import type { Side } from '../../../catalog/routing-snapshot.ts';
import type { Services } from '../services.ts';
import { ShadowConnection, ShadowConnectionError } from './shadow-connection.ts';

export interface Login {
  readonly user: string;
  readonly database: string;
}

const IDLE_MS = 15_000;
/** Of all logins together. */
const MAX_IDLE = 4;
/** A server that could not be reached is left alone for so long. */
const RETRY_AFTER_MS = 5_000;

interface Idle {
  readonly key: string;
  readonly connection: ShadowConnection;
}

export class ShadowPool {
  readonly #services: Pick<Services, 'legs' | 'limits' | 'runtime'>;
  readonly #open = new Set<ShadowConnection>();
  readonly #unreachable = new Map<string, { readonly untilMs: number; readonly error: ShadowConnectionError }>();
  #idle: Idle[] = [];
  #timer: NodeJS.Timeout | undefined;
  readonly #closing = new AbortController();

  constructor(services: Pick<Services, 'legs' | 'limits' | 'runtime'>) {
    this.#services = services;
  }

  /** `custom`: as in `SessionState`. The caller has it alone until `use` has settled. Rejects with a ShadowConnectionError when there is none to be had, or it was lost. */
  async use<T>(side: Side, login: Login, custom: string, use: (connection: ShadowConnection) => Promise<T>): Promise<T> {
    const key = JSON.stringify([side, login.user, login.database, custom]);
    const connection = this.#takeIdle(key) ?? (await this.#connect(key, side, login));
    try {
      return await use(connection);
    } finally {
      this.#give(key, connection);
    }
  }

  close(): void {
    this.#closing.abort();
    clearInterval(this.#timer);
    this.#idle = [];
    for (const connection of [...this.#open]) connection.close();
    this.#open.clear();
  }

  #takeIdle(key: string): ShadowConnection | undefined {
    const found = this.#idle.findLast((idle) => idle.key === key && !idle.connection.closed);
    if (found) this.#idle = this.#idle.filter((idle) => idle !== found);
    return found?.connection;
  }

  async #connect(key: string, side: Side, login: Login): Promise<ShadowConnection> {
    const { runtime, legs, limits } = this.#services;
    const now = (): number => runtime.clock.monotonicMs();
    const last = this.#unreachable.get(key);
    if (last && now() < last.untilMs) throw last.error;
    this.#unreachable.delete(key);
    try {
      const connection = await ShadowConnection.open(legs.target(side, login), limits.legConnectTimeoutMs, now, this.#closing.signal);
      this.#open.add(connection);
      if (!this.#closing.signal.aborted) return connection;
      connection.close();
      throw new ShadowConnectionError('the gateway is closing');
    } catch (error) {
      const trouble = error instanceof ShadowConnectionError ? error : new ShadowConnectionError(error instanceof Error ? error.message : String(error));
      this.#unreachable.set(key, { untilMs: now() + RETRY_AFTER_MS, error: trouble });
      throw trouble;
    }
  }

  #give(key: string, connection: ShadowConnection): void {
    if (connection.closed || this.#closing.signal.aborted) {
      connection.close();
      this.#open.delete(connection);
      return;
    }
    this.#idle.push({ key, connection });
    if (this.#idle.length > MAX_IDLE) this.#drop(this.#idle.slice(0, -MAX_IDLE));
    this.#timer ??= setInterval(() => this.#sweep(), IDLE_MS / 3).unref();
  }

  #sweep(): void {
    const before = this.#services.runtime.clock.monotonicMs() - IDLE_MS;
    this.#drop(this.#idle.filter(({ connection }) => connection.closed || connection.idleSinceMs < before));
  }

  #drop(gone: readonly Idle[]): void {
    for (const { connection } of gone) {
      connection.close();
      this.#open.delete(connection);
    }
    if (gone.length > 0) this.#idle = this.#idle.filter((idle) => !gone.includes(idle));
  }
}
