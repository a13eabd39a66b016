/**
 * A MySQL client and its connection to the source. Statements pass as they came, and answers as they come; what is for the migration control,
 * or may not run, is answered here.
 *
 * States: idle → (waiting for a barrier, or for the control →) asked (the source's answer is on its way) → idle; changing (another user logs
 * in on the same connection) → idle; over.
 */
import { can, Capability, ServerStatus } from '../../wire/mysql/capabilities.ts';
import type { Capabilities } from '../../wire/mysql/capabilities.ts';
import { Command } from '../../wire/mysql/commands.ts';
import { writeMysqlError } from '../../wire/mysql/error-packet.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { writePackets } from '../../wire/mysql/packets.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import type { AnswerShape } from '../../wire/mysql/answer-tracker.ts';
import { ClientInput } from '../client-input.ts';
import type { InputSession } from '../client-input.ts';
import type { DrainedSession } from '../drain.ts';
import type { WatchedSession } from '../idle-limits.ts';
import { leaveSocket } from '../leave-socket.ts';
import { LocalSide } from '../mysql-local/local-side.ts';
import type { LocalSession } from '../mysql-local/local-session.ts';
import { changeMysqlUser } from './change-user.ts';
import { CommitHold } from './commit-hold.ts';
import { goingAway, notPassed, setOption, shapes, tooLargeCommand } from './command-answers.ts';
import { CommandReader } from './command-reader.ts';
import type { CommandSink } from './command-reader.ts';
import { idleTooLong } from './control-result.ts';
import type { DoorSession, MysqlAdmitted, MysqlDoorHost } from './door-host.ts';
import { MysqlLeg } from './mysql-leg.ts';
import type { AskedRows, MysqlLegOwner } from './mysql-leg.ts';
import { OWN_TEXT_BYTES, readKill } from './own-texts.ts';
import { OwnCommands } from './own-commands.ts';
import type { AnsweringSession } from './own-commands.ts';
import { OpenUnit } from './open-unit.ts';
import { PreparedCommands } from './prepared-commands.ts';
import type { PreparingSession } from './prepared-commands.ts';
import { StatementGate } from './statement-gate.ts';
import type { GatedSession } from './statement-gate.ts';

/** Larger commands pass as they come, while no table migrates. */
const WHOLE_BYTES = 16 * 1024;
/** Enough of a text to tell by its first words that it is not the control's. */
const HEAD_BYTES = 64;
const rollback = Buffer.from('\x03ROLLBACK', 'latin1');

export class MysqlSession implements AnsweringSession, CommandSink, MysqlLegOwner, DrainedSession, DoorSession, GatedSession, InputSession, LocalSession, PreparingSession, WatchedSession {
  readonly client: MysqlAdmitted;
  readonly sessionId: string;
  readonly unit: OpenUnit;
  readonly gate: StatementGate;
  readonly capabilities: Capabilities;
  readonly #host: MysqlDoorHost;
  readonly #reader: CommandReader;
  readonly local: LocalSide | undefined;
  readonly prepared: PreparedCommands;
  readonly hold: CommitHold;
  readonly #own: OwnCommands;
  readonly #input = new ClientInput(this);
  /** What follows from the answer that is awaited, when it is no error. */
  #onSuccess: ((leg: MysqlLeg['tracker']) => void) | undefined;
  #leg: MysqlLeg;
  /** Says again what is so already: unlike a ping its answer leaves ROW_COUNT() as an error does. */
  #statusQuestion: Buffer;
  /** Nobody needs the bytes of the command any more. */
  #isHandedOn = false;
  #onPacket: ((payload: Buffer, sequence: number) => void) | undefined;
  #isOver = false;

  constructor(host: MysqlDoorHost, client: MysqlAdmitted, sessionId: string) {
    this.#host = host;
    this.client = client;
    this.sessionId = sessionId;
    this.capabilities = client.capabilities;
    this.unit = new OpenUnit(host.services.runtime.clock);
    this.#leg = new MysqlLeg(client.login, this, host.readBuffers);
    this.#statusQuestion = setOption(can(client.capabilities, Capability.multiStatements) ? 0 : 1);
    this.gate = new StatementGate(host, this);
    this.local = host.local && new LocalSide(host.local, host, this);
    this.prepared = new PreparedCommands(host, this);
    this.#own = new OwnCommands(host, this);
    this.hold = new CommitHold(host.services, this.unit);
    this.#reader = new CommandReader(this, host.services.limits.maxMessageBytes);
  }

  start(): void {
    const { socket, early } = this.client;
    socket.on('drain', () => this.#leg.resume());
    socket.on('drain', () => this.local?.writable());
    socket.on('error', () => socket.destroy());
    for (const event of ['end', 'close']) socket.on(event, () => this.#clientGone());
    if (early.length > 0) this.receive(early);
    this.#input.read(socket, this.#host.readBuffers);
  }

  get threadId(): number {
    return this.#leg.threadId;
  }

  get backendPids(): { readonly source: number; readonly local?: number } {
    return { source: this.threadId, ...this.local?.backendPid };
  }

  get #isBusy(): boolean {
    return this.#leg.isBusy || this.local?.isBusy === true;
  }

  get activity(): 'active' | 'idle' | 'idle in transaction' {
    if (this.#isBusy || this.gate.parkedForMs !== undefined || this.#onPacket) return 'active';
    return this.isInTransaction ? 'idle in transaction' : 'idle';
  }

  get isReceiving(): boolean {
    return this.#reader.isReceiving;
  }

  get isCommitting(): boolean {
    return this.hold.isWaiting || (this.#isBusy && this.unit.isCommit);
  }

  giveUpCommitWait(): boolean {
    return this.hold.giveUp();
  }

  /** Whoever waits for an answer gets none: it would be taken for that. */
  shutDown(error = goingAway): void {
    if (!this.#isBusy) this.socket.write(writePackets(writeMysqlError(error), 0));
    this.#end();
  }

  fatal(fields: ErrorFields): void {
    this.shutDown(idleTooLong(fields));
  }

  get socket(): MysqlAdmitted['socket'] {
    return this.client.socket;
  }

  get isInTransaction(): boolean {
    return (this.serverStatus & ServerStatus.inTransaction) !== 0 || this.local?.isInTransaction === true;
  }

  get serverStatus(): number {
    return this.#leg.tracker.status;
  }

  get holdsInput(): boolean {
    return this.#reader.bytes > 0 || this.#leg.hasUnwritten;
  }

  get drained(): boolean {
    return this.activity !== 'active';
  }

  receive(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#reader.push(chunk);
    if (this.#reader.heldBytes > this.#host.services.limits.readAheadBytes) this.client.socket.pause();
  }

  // CommandSink

  plan(head: Buffer, length: number): 'whole' | 'pass' | 'more' {
    const [command] = head;
    if (command === undefined) return length === 0 ? 'whole' : 'more';
    if (command === Command.sendLongData) return this.local && head.length < 5 && length >= 5 ? 'more' : this.prepared.keepsLong(head) ? 'whole' : 'pass';
    if (length <= WHOLE_BYTES || (command !== Command.query && command !== Command.execute)) return 'whole';
    if (head.length < HEAD_BYTES) return 'more';
    if (command === Command.execute) return this.prepared.passes(head) ? this.#passes(Command.execute) : 'whole';
    if (!this.#host.isTrivial() || (length <= OWN_TEXT_BYTES && this.#host.isControl(head.toString('utf8', 1)))) return 'whole';
    this.unit.begins(undefined, this.#host.snapshot, head.toString('utf8', 1, 1 + HEAD_BYTES));
    return this.#passes(command);
  }

  #passes(command: number): 'pass' {
    this.#leg.expect(shapes[command] ?? 'result');
    return 'pass';
  }

  pass(bytes: Buffer): void {
    if (this.local?.takeFile(bytes) ?? !this.#leg.send(bytes)) this.client.socket.pause();
  }

  /** Only COM_STMT_SEND_LONG_DATA passes without an answer. */
  passed(): boolean {
    return !this.#leg.isBusy;
  }

  fileEnded(): void {
    if (this.local?.endFile() !== true) this.#leg.fileSent();
  }

  packet(payload: Buffer, sequence: number): void {
    this.#input.handled(false);
    this.#onPacket?.(payload, sequence);
  }

  tooLarge(): void {
    this.fail(tooLargeCommand(this.#host.services.limits.maxMessageBytes), 0);
    this.#end();
  }

  command(payload: Buffer, packets: Buffer, sequence: number): boolean {
    const [command] = payload;
    this.#isHandedOn = false;
    const isAnswered = this.#command(command, payload, packets, sequence);
    // What neither passes nor is answered at once is kept.
    this.#input.handled(isAnswered || this.#isHandedOn);
    return isAnswered;
  }

  #command(command: number | undefined, payload: Buffer, packets: Buffer, sequence: number): boolean {
    switch (command) {
      case Command.quit:
        this.#end();
        return false;
      case Command.query:
        return this.#query(payload, packets, sequence);
      case Command.prepare:
        return this.prepared.prepare(payload, packets, sequence);
      case Command.execute:
      case Command.fetch:
        return this.prepared.execute(payload, packets, sequence);
      case Command.sendLongData:
        this.pass(packets);
        return this.prepared.longData(payload, sequence);
      case Command.fieldList:
        return this.#own.fieldList(payload, packets, sequence);
      case Command.closeStatement:
        this.prepared.closed(payload);
        this.#leg.send(packets);
        return true;
      case Command.processKill:
        return this.#own.kill({ kind: 'connection', id: payload.length >= 5 ? payload.readUInt32LE(1) : 0 }, packets, sequence);
      case Command.changeUser:
        changeMysqlUser(this, this.#host, payload, sequence);
        return false;
      default:
        return this.#other(command, payload, packets, sequence);
    }
  }

  #other(command: number | undefined, payload: Buffer, packets: Buffer, sequence: number): boolean {
    const shape = command === undefined ? undefined : shapes[command];
    if (shape === undefined) return this.refuse(notPassed(command), sequence);
    if (command === Command.resetStatement) this.prepared.reset(payload);
    if (command === Command.initDatabase) this.local?.settingsChanged();
    const option = payload[1] ?? 0;
    if (command === Command.setOption) return this.forward(packets, shape, () => (this.#statusQuestion = setOption(option)));
    if (command !== Command.resetConnection) return this.forward(packets, shape);
    // The server has forgotten them all.
    const forward = (): void => void this.forward(packets, shape, () => this.prepared.clear());
    if (this.local) this.local.reset(forward);
    else forward();
    return false;
  }

  refuse(error: MysqlError, sequence: number): boolean {
    this.fail(error, sequence);
    return true;
  }

  forward(packets: Buffer, shape: AnswerShape, onSuccess?: (leg: MysqlLeg['tracker']) => void, again?: Buffer): boolean {
    this.#onSuccess = onSuccess;
    this.#isHandedOn = true;
    this.#leg.expect(shape, again);
    this.pass(packets);
    return false;
  }

  #query(payload: Buffer, packets: Buffer, sequence: number): boolean {
    const text = payload.toString('utf8', 1);
    const kill = readKill(text);
    if (kill) return this.#own.kill(kill, packets, sequence);
    if (this.#host.isControl(text)) return this.#own.control(text, sequence);
    return this.gate.run(text, sequence, { server: () => this.forward(packets, 'result'), local: () => this.local?.run({ text, bytes: payload.subarray(1), sequence }) ?? true });
  }

  /** What answers a command of the gateway's own, later than at once. */
  answer(packets: Buffer): void {
    if (this.#isOver) return;
    this.client.socket.write(packets);
    this.next();
  }

  /** The next command, of which some may have been held back. */
  next(): void {
    this.#reader.next();
    this.serverDrained();
  }

  /** What the gateway's own answers say of the session. */
  get status(): number {
    return this.local?.status ?? (this.serverStatus & (ServerStatus.inTransaction | ServerStatus.autocommit));
  }

  fail(error: MysqlError, sequence: number): void {
    this.client.socket.write(writePackets(writeMysqlError(error), (sequence + 1) & 0xff));
  }

  // MysqlLegOwner

  toClient(bytes: Buffer): boolean {
    return this.client.socket.write(bytes);
  }

  get clientHolds(): boolean {
    return this.client.socket.writableLength > 0;
  }

  answered(): void {
    const { errorCode, status } = this.#leg.tracker;
    const onSuccess = this.#onSuccess;
    this.#onSuccess = undefined;
    if (errorCode === 0) onSuccess?.(this.#leg.tracker);
    else {
      this.unit.failed();
      // An error does not say whether a transaction is open behind it.
      if (this.isInTransaction || (status & ServerStatus.autocommit) === 0 || this.unit.mayBegin) return this.#leg.ask(this.#statusQuestion, 'packet', () => this.#serverAnswered(errorCode));
    }
    this.#serverAnswered(errorCode);
  }

  #serverAnswered(errorCode: number): void {
    if (!this.local) return this.settled();
    const isOver = (this.serverStatus & ServerStatus.inTransaction) === 0 && (this.serverStatus & ServerStatus.autocommit) !== 0;
    this.local.serverAnswered(errorCode, isOver, () => this.settled());
  }

  settled(): void {
    if (!this.isInTransaction) this.unit.settle();
    this.#host.unitChanged();
    this.next();
  }

  rollBack(done: () => void): void {
    const ended = (): void => {
      this.unit.end();
      this.#host.unitChanged();
      done();
    };
    this.#leg.ask(rollback, 'result', () => (this.local ? this.local.rollBack(ended) : ended()));
  }

  askServer(text: string, done: AskedRows): void {
    this.#leg.askRows(text, done);
  }

  wantsFile(): void {
    this.#reader.file();
  }

  serverDrained(): void {
    if (this.#reader.heldBytes <= this.#host.services.limits.readAheadBytes) this.client.socket.resume();
  }

  /** Of a leg that has ended: what the server said last has been passed on. */
  close(): void {
    this.#end();
  }

  readPackets(listener: (payload: Buffer, sequence: number) => void): void {
    this.#onPacket = listener;
    this.#reader.packets();
  }

  changed(login: MysqlAdmitted['login'], who: Pick<MysqlAdmitted, 'user' | 'database' | 'target'>): void {
    this.#onPacket = undefined;
    if (this.#isOver) return void login.socket.destroy();
    this.#leg.quit();
    Object.assign(this.client, who);
    this.prepared.clear();
    this.local?.forget();
    this.unit.end();
    this.#leg = new MysqlLeg(login, this, this.#host.readBuffers);
    this.#host.unitChanged();
    this.next();
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
    this.gate.cancel();
    this.hold.drop();
    this.#reader.stop();
    if (this.#leg.isBusy && !this.unit.isCommit) this.#leg.destroy();
    else this.#leg.quit();
    this.local?.end(this.unit.isCommit);
    this.unit.end();
    leaveSocket(this.client.socket);
    this.#host.sessionEnded(this);
  }
}
