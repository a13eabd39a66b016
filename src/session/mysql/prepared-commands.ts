/** The commands of prepared statements. The server prepares all of them, those over tables on local too: it has their definitions. */
import { Command } from '../../wire/mysql/commands.ts';
import type { AnswerShape } from '../../wire/mysql/answer-tracker.ts';
import { ErrorCode } from '../../wire/mysql/error-packet.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { readExecute, readExecuteTypes, readLongData } from '../../wire/mysql/statement-packets.ts';
import { executeParameters } from '../mysql-local/execute-parameters.ts';
import type { LocalSide } from '../mysql-local/local-side.ts';
import { notPreparable, unknownStatement } from './command-answers.ts';
import { mysqlErrorOf } from './control-result.ts';
import type { MysqlDoorHost } from './door-host.ts';
import type { OpenUnit } from './open-unit.ts';
import { PreparedTexts } from './prepared-texts.ts';
import type { PreparedText } from './prepared-texts.ts';
import type { StatementGate } from './statement-gate.ts';

export interface PreparingSession {
  readonly gate: StatementGate;
  readonly unit: OpenUnit;
  readonly local: LocalSide | undefined;
  /** The server is sent it; `onSuccess`: it has answered, and not with an error. `again`: a copy, to be sent once more where the server asks for that. Returns false: its answer is awaited. */
  forward(packets: Buffer, shape: AnswerShape, onSuccess?: (leg: PreparedOnServer) => void, again?: Buffer): boolean;
  /** True: it is answered. */
  refuse(error: MysqlError, sequence: number): boolean;
}

/** What the server has prepared last. */
interface PreparedOnServer {
  readonly statementId: number;
  readonly statementParameters: number;
}

export class PreparedCommands {
  readonly #host: MysqlDoorHost;
  readonly #session: PreparingSession;
  readonly #texts = new PreparedTexts();

  constructor(host: MysqlDoorHost, session: PreparingSession) {
    this.#host = host;
    this.#session = session;
  }

  get size(): number {
    return this.#texts.size;
  }

  prepare(payload: Buffer, packets: Buffer, sequence: number): boolean {
    const { session, limits } = { session: this.#session, limits: this.#host.services.limits };
    const text = payload.toString('utf8', 1);
    if (this.#host.isControl(text)) return session.refuse(notPreparable, sequence);
    const tooMany = this.#texts.refusal(text, limits.maxStatementBytes);
    if (tooMany) return session.refuse(mysqlErrorOf(tooMany), sequence);
    const server = (): boolean => session.forward(packets, 'prepare', ({ statementId, statementParameters }) => this.#texts.add(statementId, text, statementParameters));
    return session.gate.run(text, sequence, { server, local: server }, true);
  }

  /** COM_STMT_EXECUTE, COM_STMT_FETCH. */
  execute(payload: Buffer, packets: Buffer, sequence: number): boolean {
    const session = this.#session;
    const isFetch = payload[0] === Command.fetch;
    const shape = isFetch ? 'rows' : 'result';
    const known = this.#texts.ofCommand(payload);
    // The server does not know it either, and says so; but while tables migrate nothing passes that nobody has looked at.
    if (!known) return this.#host.isTrivial() ? session.forward(packets, shape) : session.refuse(unknownStatement(payload), sequence);
    if (isFetch) return session.gate.run(known.text, sequence, { server: () => session.forward(packets, shape), local: () => session.refuse(unknownStatement(payload), sequence) }, true);
    const server = (): boolean => {
      this.#noteTypes(known, payload);
      // The server may have forgotten the values that came in pieces.
      const isRepeatable = session.local !== undefined && !this.#host.isTrivial() && known.long.size === 0;
      this.#texts.dropLong(known);
      return session.forward(packets, shape, undefined, isRepeatable ? Buffer.from(packets) : undefined);
    };
    return session.gate.run(known.text, sequence, { server, local: () => this.#onLocal(known, payload, sequence) });
  }

  #noteTypes(known: PreparedText, payload: Buffer): void {
    try {
      known.types = readExecuteTypes(payload, known.parameters) ?? known.types;
    } catch {
      // The server will say what is wrong with it.
    }
  }

  #onLocal(known: PreparedText, payload: Buffer, sequence: number): boolean {
    const kept = Buffer.from(payload);
    return this.#session.local?.run({
      text: known.text, sequence,
      parameters: (charset) => {
        const execute = readExecute(kept, known.parameters, known.types, (index) => known.long.has(index));
        known.types = execute.types ?? known.types;
        const long = new Map([...known.long].map(([index, pieces]) => [index, Buffer.concat(pieces)]));
        this.#texts.dropLong(known);
        return executeParameters(execute, known.types ?? [], (index) => long.get(index), charset);
      },
    }) ?? true;
  }

  /** A large execution passes as it comes, and has begun then; not one that may be for local, or is the first to tell the types of its parameters. */
  passes(head: Buffer): boolean {
    const known = this.#texts.ofCommand(head);
    if (!known || (known.types === undefined && known.parameters > 0)) return false;
    const { gate, local, unit } = this.#session;
    const decision = gate.decide(known.text);
    if (decision && (decision.route !== 'remote' || local !== undefined)) return false;
    unit.begins(decision?.touches, this.#host.snapshot, known.text, decision?.waits);
    return true;
  }

  /** Pieces of values of this statement have to be kept: it may be executed on local. */
  keepsLong(head: Buffer): boolean {
    const known = this.#texts.ofCommand(head);
    if (!known || !this.#session.local || this.#host.isTrivial()) return false;
    const decision = this.#session.gate.decide(known.text);
    return decision !== undefined && (!('touches' in decision) || decision.touches.length > 0);
  }

  /** The server gets it as well: where the statement is executed is decided then. */
  longData(payload: Buffer, sequence: number): boolean {
    const known = this.#texts.ofCommand(payload);
    if (!known) return true;
    const { parameter, data } = readLongData(payload);
    if (this.#texts.addLong(known, parameter, data, this.#host.services.limits.maxMessageBytes)) return true;
    return this.#session.refuse({ code: ErrorCode.packetTooLarge, sqlstate: '08S01', message: 'MIG088: the values sent in pieces are larger than the gateway keeps' }, sequence);
  }

  reset(payload: Buffer): void {
    const known = this.#texts.ofCommand(payload);
    if (known) this.#texts.dropLong(known);
  }

  closed(payload: Buffer): void {
    this.#texts.closed(payload);
  }

  clear(): void {
    this.#texts.clear();
  }
}
