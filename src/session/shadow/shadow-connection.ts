/**
 * A connection of the gateway's own to one side, under a client's user, on which reads are asked again.
 *
 * States: idle → running (one statement in a read-only transaction that is rolled back) → idle; closed. Each run sends everything at once and
 * counts ReadyForQuery: the session's settings, if they are other ones, BEGIN, the statement, ROLLBACK.
 */
import type * as net from 'node:net';
import { connectServer, sendCancel } from '../../wire/connect-server.ts';
import type { LoginOutcome } from '../../wire/connect-server.ts';
import { readErrorFields } from '../../wire/error-fields.ts';
import { CUT, FrameScanner, PASS } from '../../wire/framing.ts';
import type { Verdict } from '../../wire/framing.ts';
import { query, terminate } from '../../wire/frontend-messages.ts';
import type { SocketInput } from '../../wire/socket-input.ts';
import { writeCancelRequest } from '../../wire/startup-packet.ts';
import type { LegTarget } from '../leg-target.ts';
import { stateSql } from '../session-state.ts';
import type { AnswerDigest } from './answer-digest.ts';

/** The connection could not be had, or was lost: nothing is known of the statement. `sqlstate` is the server's own, if it said one. */
export class ShadowConnectionError extends Error {
  readonly sqlstate: string | undefined;

  constructor(message: string, sqlstate?: string) {
    super(message);
    this.sqlstate = sqlstate;
  }
}

/** Settings of a session, as `stateQuery` gives them; its LISTENs and its name are none of this connection's. */
export interface SessionState {
  readonly key: string;
  readonly rows: readonly (readonly (string | null)[])[];
  /** Names of settings of the application's own: a connection serves sessions with the same ones only. */
  readonly custom: string;
}

export interface Timed {
  /** The statement alone. */
  readonly ms: number;
}

interface Run {
  readonly digest: AnswerDigest;
  /** ReadyForQuery that come before the statement's. */
  readonly before: number;
  seen: number;
  startedAtMs: number;
  ms: number;
  /** Of BEGIN or the settings. */
  trouble: ShadowConnectionError | undefined;
  readonly done: (result: Timed | ShadowConnectionError) => void;
}

const T = { ready: 90, error: 69 } as const;
const MAX_MESSAGE_BYTES = 16 << 20;
const CANCEL_TIMEOUT_MS = 5_000;
/** The server's own limit comes first. */
const GRACE_MS = 3_000;

export class ShadowConnection {
  readonly #target: LegTarget;
  readonly #socket: net.Socket;
  readonly #cancelRequest: Buffer;
  readonly #now: () => number;
  readonly #scanner: FrameScanner;
  #stateKey = '';
  #run: Run | undefined;
  closed = false;
  idleSinceMs: number;

  private constructor(target: LegTarget, login: { readonly socket: net.Socket; readonly input: SocketInput; readonly pid: number; readonly key: Buffer }, now: () => number) {
    this.#target = target;
    this.#socket = login.socket;
    this.#cancelRequest = writeCancelRequest(login.pid, login.key);
    this.#now = now;
    this.idleSinceMs = now();
    this.#scanner = new FrameScanner({
      message: (type, buffer, start, length) => this.#message(type, buffer, start, length),
      pass: (bytes) => this.#run?.digest.see(bytes),
      violation: (reason) => this.#lost(reason),
    }, { maxMessageBytes: MAX_MESSAGE_BYTES, streamed: 'D' });
    login.input.attach({
      keeps: () => this.#scanner.buffered > 0,
      take: (chunk) => {
        this.#scanner.push(chunk);
        this.#stopIfTooLarge();
        return this.#scanner.buffered === 0;
      },
    });
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', () => this.#lost('the connection was lost'));
  }

  static open(target: LegTarget, timeoutMs: number, now: () => number, signal: AbortSignal): Promise<ShadowConnection> {
    return new Promise((resolve, reject) => {
      const parameters = new Map([['database', target.database], ['application_name', 'causeway shadow reads']]);
      const giveUp = connectServer(target, parameters, timeoutMs, (outcome: LoginOutcome) => {
        signal.removeEventListener('abort', giveUp);
        if (outcome.ok) resolve(new ShadowConnection(target, outcome, now));
        else reject(new ShadowConnectionError(outcome.reason, outcome.error ? outcome.sqlstate : undefined));
      });
      signal.addEventListener('abort', giveUp);
    });
  }

  /** Resolves when `digest` has the statement's answer, an error of its own included. Rejects with a ShadowConnectionError; the connection is closed then. */
  run(state: SessionState, messages: Buffer, digest: AnswerDigest, timeoutMs: number): Promise<Timed> {
    return new Promise((resolve, reject) => {
      const isOther = this.#stateKey !== state.key;
      this.#stateKey = state.key;
      const timer = setTimeout(() => this.#lost('no answer in time'), timeoutMs + GRACE_MS);
      this.#run = {
        digest, before: isOther ? 2 : 1, seen: 0, startedAtMs: this.#now(), ms: 0, trouble: undefined,
        done: (result) => {
          clearTimeout(timer);
          this.#run = undefined;
          this.idleSinceMs = this.#now();
          if (result instanceof ShadowConnectionError) {
            this.close();
            reject(result);
          } else resolve(result);
        },
      };
      if (this.closed) {
        this.#run.done(new ShadowConnectionError('the connection was lost'));
        return;
      }
      // One snapshot, and nothing is written whatever the statement calls.
      const begin = query(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = ${timeoutMs}; SET LOCAL lock_timeout = ${Math.ceil(timeoutMs / 2)}; SET LOCAL idle_in_transaction_session_timeout = ${timeoutMs}`);
      const settings = isOther ? [query(stateSql(state.rows))] : [];
      this.#socket.write(Buffer.concat([...settings, begin, messages, query('ROLLBACK')]));
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#scanner.stop();
    this.#socket.end(terminate);
    this.#socket.resume();
    setTimeout(() => this.#socket.destroy(), 1_000).unref();
    this.#run?.done(new ShadowConnectionError('the connection was closed'));
  }

  #message(type: number, buffer: Buffer, start: number, length: number): Verdict {
    const run = this.#run;
    if (!run) return CUT;
    if (type === T.ready) {
      this.#ready(run);
      return CUT;
    }
    if (run.seen === run.before) return PASS;
    if (type === T.error) {
      const fields = readErrorFields(buffer, start, length);
      run.trouble ??= new ShadowConnectionError(fields.get('M') ?? 'an error', fields.get('C'));
    }
    return CUT;
  }

  #ready(run: Run): void {
    this.#scanner.flush();
    run.seen += 1;
    if (run.seen === run.before) run.startedAtMs = this.#now();
    if (run.seen === run.before + 1) run.ms = this.#now() - run.startedAtMs;
    if (run.seen === run.before + 2) run.done(run.trouble ?? { ms: run.ms });
  }

  /** The rest of the rows is nobody's. */
  #stopIfTooLarge(): void {
    const run = this.#run;
    if (!run || run.digest.end !== 'too_large') return;
    sendCancel(this.#target, this.#cancelRequest, CANCEL_TIMEOUT_MS);
    const ms = this.#now() - run.startedAtMs;
    run.done({ ms });
    this.close();
  }

  #lost(reason: string): void {
    if (this.closed) return;
    if (this.#run) sendCancel(this.#target, this.#cancelRequest, CANCEL_TIMEOUT_MS);
    this.#run?.done(new ShadowConnectionError(reason));
    this.close();
  }
}
