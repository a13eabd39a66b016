/** Lends one session a connection of its own, opened when it is first wanted and kept for good. */
import { connectServer } from '../../wire/connect-server.ts';
import { readErrorFields } from '../../wire/error-fields.ts';
import type { LargeBuffers } from '../../wire/socket-input.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { Backend } from '../backend.ts';
import { errorFieldsOf } from '../client-error.ts';
import type { BackendLender, Borrower } from '../leg-connection.ts';
import type { LegTarget } from '../leg-target.ts';

export interface OwnConnectionOptions {
  readonly target: LegTarget;
  readonly startup: ReadonlyMap<string, string>;
  readonly timeoutMs: number;
  readonly nowMs: () => number;
  readonly readBuffers: LargeBuffers;
}

export class OwnConnection implements BackendLender {
  readonly target: LegTarget;
  readonly #options: OwnConnectionOptions;
  #abort: (() => void) | undefined;

  constructor(options: OwnConnectionOptions) {
    this.target = options.target;
    this.#options = options;
  }

  take(borrower: Borrower): undefined {
    const { startup, timeoutMs, nowMs, readBuffers } = this.#options;
    this.#abort = connectServer(this.target, new Map([...startup, ['database', this.target.database]]), timeoutMs, (outcome) => {
      this.#abort = undefined;
      if (outcome.ok) return borrower.lent(new Backend(this.target, outcome, nowMs()));
      const detail = outcome.error ? readErrorFields(outcome.error, 0, outcome.error.length).get('M') ?? outcome.reason : outcome.reason;
      borrower.refused(errorFieldsOf(new MigrationError('MIG001', 'local cannot be reached', { detail, hint: 'Check the local server; tables that still live on the source can be used meanwhile.' })));
    }, readBuffers);
  }

  forget(): void {
    this.#abort?.();
  }

  give(backend: Backend): void {
    backend.end();
  }
}
