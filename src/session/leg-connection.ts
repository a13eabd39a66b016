/**
 * The connection behind a leg: its own for good, or one that a pool lends it for as long as something is open on it.
 *
 * States of a pooled one: without → waiting (what is sent meanwhile is kept) → with a connection → without.
 */
import type { ErrorFields } from '../wire/error-fields.ts';
import { query } from '../wire/frontend-messages.ts';
import { Backend } from './backend.ts';
import type { BackendUser } from './backend.ts';
import type { LegTarget } from './leg-target.ts';

/** Lends connections. */
export interface BackendLender {
  readonly target: LegTarget;
  /** One that is free, with the borrower's settings if there is such a one; else undefined, and it is lent one later. */
  take(borrower: Borrower): Backend | undefined;
  /** It does not want one any more. */
  forget(borrower: Borrower): void;
  give(backend: Backend): void;
}

export interface Borrower {
  /** It is told of the first failure: nobody has let its client in yet. */
  readonly isLoggingIn?: boolean;
  /** Names the settings that its connection is to have. */
  readonly settings: string;
  lent(backend: Backend): void;
  refused(fields: ErrorFields): void;
}

/** Settings of the session that its connection has to have: their name, and what makes them. */
export interface Borrowing {
  readonly settings: string;
  /** The connection has more of the session than this tells; it stays as it is. */
  readonly isTied: boolean;
  sql(): string;
}

export interface ConnectionUser extends BackendUser {
  readonly borrowing: Borrowing;
  /** Nothing is open on the connection, and nobody needs this very one. */
  readonly mayGiveBack: boolean;
  /** A connection has come. */
  attached(): void;
  /** Something of the gateway's own is sent now, whose answer is not the client's: before all that was asked, or behind it. */
  prepares(isFirst: boolean): void;
  /** What was sent has to wait, or has left. */
  blocked(isBlocked: boolean): void;
  /** What was waited for is there. */
  ready(): void;
  refused(fields: ErrorFields): void;
}

export class LegConnection implements Borrower {
  readonly target: LegTarget;
  readonly #lender: BackendLender | undefined;
  readonly #user: ConnectionUser;
  #backend: Backend | undefined;
  #isWaiting = false;
  /** What was sent while there was no connection. */
  #unsent: Buffer[] | undefined;

  constructor(from: Backend | BackendLender, user: ConnectionUser) {
    this.target = from.target;
    this.#user = user;
    if (from instanceof Backend) {
      this.#backend = from;
      from.use(user);
    } else this.#lender = from;
  }

  get isPooled(): boolean {
    return this.#lender !== undefined;
  }

  /** Undefined while a pooled one is without. */
  get backend(): Backend | undefined {
    return this.#backend;
  }

  get settings(): string {
    return this.#user.borrowing.settings;
  }

  /** True when there is a connection; else one is on its way, and `ready` says when it has come. */
  acquire(): boolean {
    if (this.#backend) {
      // It was in use for something else of the session while a setting changed.
      if (this.#lender && !this.#user.borrowing.isTied) this.#prepare(this.#backend, false);
      return true;
    }
    if (this.#isWaiting) return false;
    const backend = this.#lender?.take(this);
    if (backend) this.#attach(backend);
    else this.#isWaiting = true;
    return backend !== undefined;
  }

  lent(backend: Backend): void {
    this.#isWaiting = false;
    this.#attach(backend);
    const unsent = this.#unsent;
    if (unsent) {
      this.#unsent = undefined;
      this.write(Buffer.concat(unsent));
      if (!this.writeBlocked) this.#user.blocked(false);
    }
    this.#user.ready();
    this.giveBack();
  }

  refused(fields: ErrorFields): void {
    this.#isWaiting = false;
    this.#user.refused(fields);
  }

  #attach(backend: Backend): void {
    this.#backend = backend;
    backend.use(this.#user);
    this.#user.attached();
    this.#prepare(backend, true);
  }

  #prepare(backend: Backend, isFirst: boolean): void {
    const { borrowing } = this.#user;
    if (backend.settings === borrowing.settings) return;
    backend.settings = borrowing.settings;
    this.#user.prepares(isFirst);
    backend.write(query(borrowing.sql()));
  }

  /** A pooled one goes back as soon as nothing is open on it. */
  giveBack(): void {
    const backend = this.#backend;
    if (!this.#lender || !backend || backend.paused || !this.#user.mayGiveBack) return;
    this.#backend = undefined;
    backend.use(undefined);
    // The next session's Query makes the server forget it.
    backend.unnamed = undefined;
    backend.flow(false);
    this.#lender.give(backend);
  }

  write(bytes: Buffer): void {
    if (this.#backend ?? (this.acquire() && this.#backend)) {
      if (this.#backend?.write(bytes) === false) this.#user.blocked(true);
      return;
    }
    (this.#unsent ??= []).push(bytes);
    this.#user.blocked(true);
  }

  get writeBlocked(): boolean {
    return this.#unsent !== undefined || (this.#backend?.writeBlocked ?? false);
  }

  get hasUnwritten(): boolean {
    return this.#unsent !== undefined || (this.#backend?.hasUnwritten ?? false);
  }

  get hasUnsent(): boolean {
    return this.#unsent !== undefined;
  }

  end(): void {
    if (this.#isWaiting) this.#lender?.forget(this);
    this.#backend?.end();
  }
}
