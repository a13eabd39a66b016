/** Commands that are not, or not as they came, the server's: migration statements, KILL of numbers that the gateway gives out, the columns of a table. */
import type { AnswerShape } from '../../wire/mysql/answer-tracker.ts';
import type { DoorSession, MysqlDoorHost } from './door-host.ts';
import { killCommand } from './kill-command.ts';
import type { OpenUnit } from './open-unit.ts';
import type { Kill } from './own-texts.ts';
import { runControl } from './run-control.ts';
import type { StatementGate } from './statement-gate.ts';

export interface AnsweringSession extends DoorSession {
  readonly isInTransaction: boolean;
  readonly unit: OpenUnit;
  readonly gate: StatementGate;
  /** Returns false: the server's answer is awaited. */
  forward(packets: Buffer, shape: AnswerShape): boolean;
  answer(packets: Buffer): void;
}

/** As commands are: each returns true when it is answered. */
export class OwnCommands {
  readonly #host: MysqlDoorHost;
  readonly #session: AnsweringSession;

  constructor(host: MysqlDoorHost, session: AnsweringSession) {
    this.#host = host;
    this.#session = session;
  }

  control(text: string, sequence: number): boolean {
    void runControl(this.#host.services, this.#session, text, sequence + 1).then((packets) => this.#session.answer(packets));
    return false;
  }

  kill(kill: Kill, packets: Buffer, sequence: number): boolean {
    const session = this.#session;
    const asked = killCommand(this.#host, session, kill, packets, sequence, (answer) => session.answer(answer));
    if (!asked) return false;
    session.unit.begins([], this.#host.snapshot, 'KILL');
    return session.forward(asked, 'result');
  }

  /** Definitions are the server's, wherever the rows are. */
  fieldList(payload: Buffer, packets: Buffer, sequence: number): boolean {
    const end = payload.indexOf(0, 1);
    const table = payload.toString('utf8', 1, end < 0 ? payload.length : end);
    const server = (): boolean => this.#session.forward(packets, 'fields');
    return this.#session.gate.run(`show columns from \`${table}\``, sequence, { server, local: server }, true);
  }
}
