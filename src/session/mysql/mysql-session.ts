/**
 * A MySQL client and its connection to the source. Statements pass as they came, and answers as they come; what is for the migration control,
 * or may not run, is answered here.
 *
 * States: idle → (waiting for a barrier, or for the control →) asked (the source's answer is on its way) → idle; changing (another user logs
 * in on the same connection) → idle; over.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import { ServerStatus } from '../../wire/mysql/capabilities.ts';
import type { Capabilities } from '../../wire/mysql/capabilities.ts';
import { Command, refusedCommands } from '../../wire/mysql/commands.ts';
import { ErrorCode, writeMysqlError } from '../../wire/mysql/error-packet.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { writeOk } from '../../wire/mysql/ok-packet.ts';
import { writePackets } from '../../wire/mysql/packets.ts';
import type { AnswerShape } from '../../wire/mysql/answer-tracker.ts';
import { LAST_PREPARED } from '../../wire/mysql/statement-packets.ts';
import { parkedTooLong } from '../client-error.ts';
import { onlyReads } from '../control-answer.ts';
import type { HoldingUnit } from '../control-port.ts';
import type { DrainedSession } from '../drain.ts';
import { changeMysqlUser } from './change-user.ts';
import { CommandReader } from './command-reader.ts';
import type { CommandSink } from './command-reader.ts';
import { mysqlErrorOf, writeCommandResult } from './control-result.ts';
import type { DoorSession, MysqlAdmitted, MysqlDoorHost } from './door-host.ts';
import { MysqlLeg } from './mysql-leg.ts';
import type { MysqlLegOwner } from './mysql-leg.ts';
import { isControlText, OWN_TEXT_BYTES, readKill } from './own-texts.ts';
import { OpenUnit } from './open-unit.ts';

/** Larger commands pass as they come, while no table migrates. */
const WHOLE_BYTES = 16 * 1024;
const LEAVE_MS = 1_000;
/** Enough of a text to tell by its first words that it is not the control's. */
const HEAD_BYTES = 64;

const shapes: Readonly<Record<number, AnswerShape>> = {
  [Command.initDatabase]: 'packet', [Command.query]: 'result', [Command.fieldList]: 'fields', [Command.statistics]: 'packet', [Command.processInfo]: 'result', [Command.processKill]: 'packet',
  [Command.debug]: 'packet', [Command.ping]: 'packet', [Command.prepare]: 'prepare', [Command.execute]: 'result', [Command.resetStatement]: 'packet', [Command.setOption]: 'packet',
  [Command.fetch]: 'rows', [Command.resetConnection]: 'packet',
};

export class MysqlSession implements CommandSink, MysqlLegOwner, DrainedSession, DoorSession {
  readonly client: MysqlAdmitted;
  readonly sessionId: string;
  readonly unit: OpenUnit;
  readonly capabilities: Capabilities;
  readonly #host: MysqlDoorHost;
  readonly #reader: CommandReader;
  /** Texts of prepared statements, by the server's ids: what they touch is asked again at each execution. */
  readonly #texts = new Map<number, string>();
  #textBytes = 0;
  #preparing: string | undefined;
  #lastPrepared = 0;
  #leg: MysqlLeg;
  #waiting: { readonly retry: () => void; readonly timer: NodeJS.Timeout; readonly sequence: number } | undefined;
  #onPacket: ((payload: Buffer, sequence: number) => void) | undefined;
  /** What a command that was skipped is answered with. */
  #refusal: MysqlError | undefined;
  #isOver = false;

  constructor(host: MysqlDoorHost, client: MysqlAdmitted, sessionId: string) {
    this.#host = host;
    this.client = client;
    this.sessionId = sessionId;
    this.capabilities = client.capabilities;
    this.unit = new OpenUnit(host.services.runtime.clock);
    this.#leg = new MysqlLeg(client.login, this);
    this.#reader = new CommandReader(this, host.services.limits.maxMessageBytes);
  }

  start(): void {
    const { socket, early } = this.client;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('drain', () => this.#leg.resume());
    socket.on('error', () => socket.destroy());
    socket.on('end', () => this.#clientGone());
    socket.on('close', () => this.#clientGone());
    if (early.length > 0) this.#receive(early);
  }

  get threadId(): number {
    return this.#leg.threadId;
  }

  get isBusy(): boolean {
    return this.#leg.isBusy;
  }

  // DrainedSession

  get activity(): 'active' | 'idle' | 'idle in transaction' {
    if (this.#leg.isBusy || this.#waiting || this.#onPacket) return 'active';
    return this.#inTransaction ? 'idle in transaction' : 'idle';
  }

  get isReceiving(): boolean {
    return this.#reader.isReceiving;
  }

  get isCommitting(): boolean {
    return this.#leg.isBusy && this.unit.isCommit;
  }

  giveUpCommitWait(): boolean {
    return false;
  }

  /** Whoever waits for an answer gets none: it would be taken for that. */
  shutDown(): void {
    const { socket } = this.client;
    if (!this.#leg.isBusy) socket.write(writePackets(writeMysqlError({ code: ErrorCode.shuttingDown, sqlstate: '08S01', message: 'the gateway is shutting down; connect again in a moment' }), 0));
    this.#end();
  }

  // Barriers

  describe(): HoldingUnit {
    const { user, address } = this.client;
    return { sessionId: this.sessionId, user, clientAddress: address, backendPids: {}, openForMs: this.unit.openForMs, lastStatement: this.unit.lastText };
  }

  routingChanged(): void {
    this.#waiting?.retry();
  }

  get waitsFor(): readonly string[] {
    return this.#waiting ? this.unit.wanted : [];
  }

  get #inTransaction(): boolean {
    return (this.#leg.tracker.status & ServerStatus.inTransaction) !== 0;
  }

  #receive(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#reader.push(chunk);
    if (this.#reader.heldBytes > this.#host.services.limits.readAheadBytes) this.client.socket.pause();
  }

  // CommandSink

  plan(head: Buffer, length: number): 'whole' | 'pass' | 'skip' | 'more' {
    const [command = 0] = head;
    if (command === Command.sendLongData) return 'pass';
    if (length <= WHOLE_BYTES || (command !== Command.query && command !== Command.execute)) return 'whole';
    if (head.length < HEAD_BYTES) return 'more';
    if (command === Command.execute) {
      const refused = this.#decideExecute(head);
      if (refused === 'wait') return 'whole';
      if (!refused) return this.#passes(command);
      this.#refusal = mysqlErrorOf(refused);
      return 'skip';
    }
    if (!this.#host.isTrivial() || (length <= OWN_TEXT_BYTES && this.#isControl(head.toString('utf8', 1)))) return 'whole';
    this.unit.begins(undefined, this.#host.snapshot, head.toString('utf8', 1, 1 + HEAD_BYTES), this.#inTransaction);
    return this.#passes(command);
  }

  #passes(command: number): 'pass' {
    this.#leg.send(Buffer.alloc(0), shapes[command]);
    return 'pass';
  }

  pass(bytes: Buffer): void {
    if (!this.#leg.send(bytes)) this.client.socket.pause();
  }

  passed(isSkipped: boolean, sequence: number): boolean {
    // Only COM_STMT_SEND_LONG_DATA passes without an answer.
    if (!isSkipped) return !this.#leg.isBusy;
    this.fail(this.#refusal ?? mysqlErrorOf(undefined), sequence);
    return true;
  }

  fileEnded(): void {
    this.#leg.fileSent();
  }

  packet(payload: Buffer, sequence: number): void {
    this.#onPacket?.(payload, sequence);
  }

  tooLarge(): void {
    const { maxMessageBytes } = this.#host.services.limits;
    this.fail({ code: ErrorCode.packetTooLarge, sqlstate: '08S01', message: `MIG088: the command is larger than the gateway takes (${maxMessageBytes} bytes)` }, 0);
    this.#end();
  }

  command(payload: Buffer, packets: Buffer, sequence: number): boolean {
    const [command] = payload;
    switch (command) {
      case Command.quit:
        this.#end();
        return false;
      case Command.query:
        return this.#query(payload, packets, sequence);
      case Command.prepare:
        return this.#prepare(payload, packets, sequence);
      case Command.execute:
      case Command.fetch:
        return this.#execute(payload, packets, sequence);
      case Command.fieldList:
        return this.#fieldList(payload, packets, sequence);
      case Command.closeStatement:
        this.#forget(payload);
        this.#leg.send(packets);
        return true;
      case Command.processKill:
        return this.#kill({ kind: 'connection', id: payload.length >= 5 ? payload.readUInt32LE(1) : 0 }, packets, sequence);
      case Command.changeUser:
        changeMysqlUser(this, this.#host, payload, sequence);
        return false;
      default:
        return this.#other(command, packets, sequence);
    }
  }

  #other(command: number | undefined, packets: Buffer, sequence: number): boolean {
    const shape = command === undefined ? undefined : shapes[command];
    if (shape === undefined) {
      const name = (command === undefined ? undefined : refusedCommands[command]) ?? `command ${command ?? 'of no bytes'}`;
      this.fail({ code: ErrorCode.unknownCommand, sqlstate: '08S01', message: `${name} is not possible through the gateway` }, sequence);
      return true;
    }
    return this.#forward(packets, shape);
  }

  /** False: its answer is awaited. */
  #forward(packets: Buffer, shape: AnswerShape): boolean {
    if (!this.#leg.send(packets, shape)) this.client.socket.pause();
    return false;
  }

  #query(payload: Buffer, packets: Buffer, sequence: number): boolean {
    const text = payload.toString('utf8', 1);
    const kill = readKill(text);
    if (kill) return this.#kill(kill, packets, sequence);
    if (payload.length <= OWN_TEXT_BYTES && this.#isControl(text)) return this.#control(text, sequence);
    return this.#decided(text, sequence, () => this.#forward(packets, 'result'));
  }

  #isControl(text: string): boolean {
    return isControlText(text, (name) => this.#host.services.control.hasServer(name));
  }

  #prepare(payload: Buffer, packets: Buffer, sequence: number): boolean {
    const text = payload.toString('utf8', 1);
    if (payload.length <= OWN_TEXT_BYTES && this.#isControl(text)) {
      this.fail({ code: ErrorCode.notPreparable, sqlstate: 'HY000', message: 'Migration statements cannot be prepared; send them as text' }, sequence);
      return true;
    }
    const limit = this.#host.services.limits.maxStatementBytes;
    if (this.#textBytes + text.length > limit) {
      this.fail(mysqlErrorOf(new MigrationError('MIG085', 'the session keeps too many prepared statements', { detail: `Their texts may take ${limit} bytes.`, hint: 'Close statements that are no longer used.' })), sequence);
      return true;
    }
    return this.#decided(text, sequence, () => {
      this.#preparing = text;
      return this.#forward(packets, 'prepare');
    });
  }

  #textOf(statement: Buffer): string | undefined {
    if (statement.length < 5) return undefined;
    const id = statement.readUInt32LE(1);
    return this.#texts.get(id === LAST_PREPARED ? this.#lastPrepared : id);
  }

  #execute(payload: Buffer, packets: Buffer, sequence: number): boolean {
    const shape = payload[0] === Command.fetch ? 'rows' : 'result';
    const text = this.#textOf(payload);
    // What is not known here the server does not know either, and says so.
    return text === undefined ? this.#forward(packets, shape) : this.#decided(text, sequence, () => this.#forward(packets, shape));
  }

  /** For one that passes as it comes: why it may not. */
  #decideExecute(head: Buffer): MigrationError | 'wait' | undefined {
    const text = this.#textOf(head);
    if (text === undefined) return undefined;
    const decision = this.#host.decide(text, { holdsLocks: this.unit.isOpen });
    if (decision?.route === 'wait') return 'wait';
    if (decision?.route === 'refused') return decision.error;
    this.unit.begins(decision?.touches, this.#host.snapshot, text, this.#inTransaction);
    return undefined;
  }

  #fieldList(payload: Buffer, packets: Buffer, sequence: number): boolean {
    const end = payload.indexOf(0, 1);
    const table = payload.toString('utf8', 1, end < 0 ? payload.length : end);
    return this.#decided(`show columns from \`${table}\``, sequence, () => this.#forward(packets, 'fields'));
  }

  /** Runs `go` now or when a barrier is over; or answers why not. */
  #decided(text: string, sequence: number, go: () => boolean): boolean {
    const decision = this.#host.decide(text, { holdsLocks: this.unit.isOpen });
    if (decision?.route === 'refused') {
      this.fail(mysqlErrorOf(decision.error), sequence);
      return true;
    }
    if (decision?.route === 'wait') return this.#wait(decision.touches, sequence, () => this.#decided(text, sequence, go));
    if (decision?.route === 'local') {
      this.fail(mysqlErrorOf(new MigrationError('MIG082', 'the statement belongs on local, where a MySQL client\'s session has no connection')), sequence);
      return true;
    }
    this.unit.begins(decision?.touches, this.#host.snapshot, text, this.#inTransaction);
    return go();
  }

  #wait(touches: readonly string[], sequence: number, again: () => boolean): boolean {
    const started = this.#waiting;
    const limitMs = this.#host.services.limits.parkLimitMs;
    if (started) clearTimeout(started.timer);
    else this.unit.waitsFor(touches);
    const waitedMs = this.unit.waitedMs;
    const timer = setTimeout(() => {
      this.#waiting = undefined;
      this.fail(mysqlErrorOf(new MigrationError('MIG087', parkedTooLong(limitMs).message.replace(/^MIG087: /, ''), { detail: `The statement waited ${limitMs} ms and has not run.` })), sequence);
      this.#reader.next();
    }, Math.max(0, limitMs - waitedMs));
    const retry = (): void => {
      clearTimeout(timer);
      const isDone = again();
      // Nothing has replaced it: it no longer waits.
      if (this.#waiting?.retry === retry) {
        this.#waiting = undefined;
        if (isDone) this.#reader.next();
      }
    };
    this.#waiting = { retry, timer, sequence };
    this.#host.unitChanged();
    return false;
  }

  #control(text: string, sequence: number): boolean {
    if (this.#inTransaction && !onlyReads(text)) {
      this.fail({ code: ErrorCode.unknown, sqlstate: '25001', message: 'MIG074: the statement cannot run inside a transaction. End the transaction first.' }, sequence);
      return true;
    }
    const { user, address, database } = this.client;
    const request = { sql: text, user, clientAddress: address, sessionId: this.sessionId, searchPath: database === undefined ? [] : [database] };
    this.#host.services.control.command(request).then(
      (result) => this.#answered(writeCommandResult(result, this.status, this.capabilities, sequence + 1)),
      (error: unknown) => {
        if (!(error instanceof MigrationError)) this.#host.services.runtime.log.error('migration command failed', { error: String(error) });
        this.#answered(writePackets(writeMysqlError(mysqlErrorOf(error)), sequence + 1));
      },
    );
    return false;
  }

  #answered(packets: Buffer): void {
    if (this.#isOver) return;
    this.client.socket.write(packets);
    this.#reader.next();
  }

  /** A number of the gateway's becomes that of the session's connection. */
  #kill({ kind, id }: { readonly kind: 'query' | 'connection'; readonly id: number }, packets: Buffer, sequence: number): boolean {
    const threadId = this.#host.threadOf(id);
    const begin = (): boolean => {
      this.unit.begins([], this.#host.snapshot, 'KILL', this.#inTransaction);
      return this.#forward(threadId === undefined ? packets : writePackets(Buffer.from(`\x03KILL ${kind === 'query' ? 'QUERY ' : 'CONNECTION '}${threadId}`, 'latin1'), 0), 'result');
    };
    if (threadId !== undefined || !this.#host.isOwnId(id)) return begin();
    this.#host.killElsewhere(id, kind, this.client.user, (found) => {
      this.#answered(writePackets(found ? writeOk({ status: this.status }, this.capabilities) : writeMysqlError({ code: ErrorCode.noSuchThread, sqlstate: 'HY000', message: `Unknown thread id: ${id}` }), sequence + 1));
    });
    return false;
  }

  #forget(payload: Buffer): void {
    const id = payload.length < 5 ? -1 : payload.readUInt32LE(1);
    this.#textBytes -= this.#texts.get(id)?.length ?? 0;
    this.#texts.delete(id);
  }

  /** What the gateway's own answers say of the session. */
  get status(): number {
    return this.#leg.tracker.status & (ServerStatus.inTransaction | ServerStatus.autocommit);
  }

  fail(error: MysqlError, sequence: number): void {
    this.client.socket.write(writePackets(writeMysqlError(error), (sequence + 1) & 0xff));
  }

  // MysqlLegOwner

  toClient(bytes: Buffer): boolean {
    return this.client.socket.write(bytes);
  }

  answered(): void {
    const { tracker } = this.#leg;
    if (this.#preparing !== undefined) {
      if (tracker.errorCode === 0) {
        this.#texts.set(tracker.statementId, this.#preparing);
        this.#textBytes += this.#preparing.length;
        this.#lastPrepared = tracker.statementId;
      }
      this.#preparing = undefined;
    }
    if (!this.#inTransaction) this.unit.end();
    this.#host.unitChanged();
    if (this.client.socket.isPaused()) this.client.socket.resume();
    this.#reader.next();
  }

  wantsFile(): void {
    this.#reader.file();
  }

  drained(): void {
    if (this.#reader.heldBytes <= this.#host.services.limits.readAheadBytes) this.client.socket.resume();
  }

  close(): void {
    this.#end();
  }

  /** What the server said last has been passed on. */
  legEnded(): void {
    this.#end();
  }

  // Another user on the same connection

  readPackets(listener: (payload: Buffer, sequence: number) => void): void {
    this.#onPacket = listener;
    this.#reader.packets();
  }

  changed(login: MysqlAdmitted['login'], who: Pick<MysqlAdmitted, 'user' | 'database' | 'target'>): void {
    this.#onPacket = undefined;
    if (this.#isOver) {
      login.socket.destroy();
      return;
    }
    this.#leg.quit();
    Object.assign(this.client, who);
    this.#texts.clear();
    this.#textBytes = 0;
    this.unit.end();
    this.#leg = new MysqlLeg(login, this);
    this.#host.unitChanged();
    this.#reader.next();
  }

  #clientGone(): void {
    if (this.#isOver) return;
    // A server notices that nobody reads only when it writes: what runs would go on, with its locks.
    if (this.#leg.isBusy && !this.unit.isCommit) this.#host.killOf(this);
    this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#waiting) clearTimeout(this.#waiting.timer);
    this.#waiting = undefined;
    this.#reader.stop();
    if (this.#leg.isBusy && !this.unit.isCommit) this.#leg.destroy();
    else this.#leg.quit();
    this.unit.end();
    const { socket } = this.client;
    socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), LEAVE_MS).unref();
    socket.once('close', () => clearTimeout(timer));
    this.#host.sessionEnded(this);
  }

  holds(tables: ReadonlySet<string>, epoch: number): boolean {
    return this.unit.holds(tables, epoch);
  }
}
