/**
 * Follows a server's answer by the first bytes of its packets, so that it can pass unread: where it ends, in which state it leaves the
 * session, and when the server waits for a file of the client.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html
 *
 * States: none → first packet → (column definitions → rows → first packet of the next result) | (definitions of a prepared statement) | file → none.
 */
import { can, Capability, MariadbCapability, ServerStatus } from './capabilities.ts';
import type { Capabilities } from './capabilities.ts';
import { ERROR } from './error-packet.ts';
import { EOF, OK, readStatus } from './ok-packet.ts';
import { MAX_PACKET_BYTES, PacketScanner } from './packets.ts';
import { readPrepareOk } from './statement-packets.ts';

/**
 * `result`: OK, an error, or rows. `rows`: of a cursor. `prepare`: a statement and its definitions. `fields`: definitions alone. `packet`: one, whatever it is.
 */
export type AnswerShape = 'result' | 'rows' | 'prepare' | 'fields' | 'packet';

const LOCAL_INFILE = 0xfb;
/** In place of an error's number: how far a MariaDB has got. https://mariadb.com/kb/en/progress-reporting/ */
const PROGRESS = 0xffff;

export class AnswerTracker {
  readonly #scanner: PacketScanner;
  readonly #capabilities: Capabilities;
  #state: 'none' | 'first' | 'columns' | 'columns_end' | 'rows' | 'prepared' | 'packet' = 'none';
  #shape: AnswerShape = 'packet';
  #definitions = 0;
  /** Packets of a prepared statement's definitions, with their ends. */
  #preparedPackets = 0;
  /** Of the last packet that said it. */
  status: number = ServerStatus.autocommit;
  /** Of the answer at hand: number of its error, 0 without one. */
  errorCode = 0;
  /** That has been prepared last. */
  statementId = 0;
  /** Number of its parameters. */
  statementParameters = 0;
  /** The server waits for a file. */
  wantsFile = false;

  constructor(capabilities: Capabilities) {
    this.#capabilities = capabilities;
    this.#scanner = new PacketScanner({ head: (bytes, start, end, length) => this.#head(bytes, start, end, length) });
  }

  expect(shape: AnswerShape): void {
    this.#shape = shape;
    this.errorCode = 0;
    this.#state = shape === 'packet' ? 'packet' : shape === 'rows' || shape === 'fields' ? 'rows' : 'first';
  }

  /** Nothing is to come. */
  get isComplete(): boolean {
    return this.#state === 'none' && this.#scanner.isBetween;
  }

  /** The file has been sent, to its end: what comes is as if nothing had been asked yet. */
  fileSent(): void {
    this.wantsFile = false;
  }

  /** Sequence id of the last packet that has come. */
  get sequence(): number {
    return this.#scanner.sequence;
  }

  push(chunk: Buffer): void {
    this.#scanner.push(chunk);
  }

  #head(bytes: Buffer, start: number, end: number, length: number): void {
    const first = length === 0 ? OK : bytes[start] ?? OK;
    switch (this.#state) {
      case 'none':
        // What a server says unasked is that it ends the connection.
        return;
      case 'packet':
        this.#single(first, bytes, start, end);
        return;
      case 'first':
        this.#first(first, bytes, start, end, length);
        return;
      case 'columns':
        this.#definitions -= 1;
        if (this.#definitions === 0) this.#state = can(this.#capabilities, Capability.deprecateEof) ? 'rows' : 'columns_end';
        return;
      case 'columns_end':
        this.#columnsEnd(bytes, start, end);
        return;
      case 'rows':
        this.#row(first, bytes, start, end, length);
        return;
      case 'prepared':
        this.#preparedPackets -= 1;
        if (this.#preparedPackets === 0) this.#state = 'none';
        return;
      default:
        this.#state satisfies never;
    }
  }

  #single(first: number, bytes: Buffer, start: number, end: number): void {
    this.#state = 'none';
    if (first === ERROR) this.#error(bytes, start, end);
    else if (first === OK && end - start >= 7) this.status = readStatus(bytes, start, end, false);
    else if (first === EOF && end - start >= 5) this.status = readStatus(bytes, start, end, end - start === 5);
  }

  #first(first: number, bytes: Buffer, start: number, end: number, length: number): void {
    if (first === ERROR) this.#error(bytes, start, end);
    else if (this.#shape === 'prepare') this.#prepareOk(bytes, start, end, length);
    else if (first === OK && !this.#isMetadataFlag(length)) this.#ended(readStatus(bytes, start, end, false));
    else if (first === LOCAL_INFILE && this.#shape === 'result') this.wantsFile = true;
    else this.#columnCount(bytes, start, length);
  }

  /** With optional metadata 0 before the number of columns says that there are none. An OK is longer than that. */
  #isMetadataFlag(length: number): boolean {
    return can(this.#capabilities, Capability.optionalMetadata) && length < 7;
  }

  #columnCount(bytes: Buffer, start: number, length: number): void {
    const flagFirst = can(this.#capabilities, Capability.optionalMetadata);
    const at = flagFirst ? start + 1 : start;
    const lead = bytes[at] ?? 0;
    const count = lead === 0xfc ? bytes.readUInt16LE(at + 1) : lead;
    const behind = at + (lead === 0xfc ? 3 : 1);
    const flag = flagFirst ? bytes[start] : (this.#capabilities.mariadb & MariadbCapability.cacheMetadata) !== 0 && behind < start + length ? bytes[behind] : 1;
    this.#definitions = flag === 0 ? 0 : count;
    const isOver = this.#definitions === 0;
    this.#state = !isOver ? 'columns' : can(this.#capabilities, Capability.deprecateEof) ? 'rows' : 'columns_end';
  }

  #columnsEnd(bytes: Buffer, start: number, end: number): void {
    const status = readStatus(bytes, start, end, true);
    // The rows are fetched with commands of their own.
    if ((status & ServerStatus.cursorExists) !== 0) this.#ended(status);
    else this.#state = 'rows';
  }

  #row(first: number, bytes: Buffer, start: number, end: number, length: number): void {
    if (first === ERROR) {
      this.#error(bytes, start, end);
      return;
    }
    if (first !== EOF) return;
    const isOk = can(this.#capabilities, Capability.deprecateEof);
    // A row may begin with 0xfe only where a value has 16 MiB or more.
    if (isOk ? length < MAX_PACKET_BYTES : length < 9) this.#ended(readStatus(bytes, start, end, !isOk || end - start === 5));
  }

  #prepareOk(bytes: Buffer, start: number, end: number, length: number): void {
    const { statementId, columns, parameters } = readPrepareOk(bytes, start);
    this.statementId = statementId;
    this.statementParameters = parameters;
    const hasMetadata = !can(this.#capabilities, Capability.optionalMetadata) || length < 13 || end - start < 13 || bytes[start + 12] !== 0;
    const ends = can(this.#capabilities, Capability.deprecateEof) ? 0 : 1;
    this.#preparedPackets = hasMetadata ? [columns, parameters].reduce((sum, count) => sum + (count === 0 ? 0 : count + ends), 0) : 0;
    this.#state = this.#preparedPackets === 0 ? 'none' : 'prepared';
  }

  #error(bytes: Buffer, start: number, end: number): void {
    const code = end - start >= 3 ? bytes.readUInt16LE(start + 1) : 0;
    if (code === PROGRESS && (this.#capabilities.mariadb & MariadbCapability.progress) !== 0) {
      // An answer of one packet is still to come.
      if (this.#state === 'none') this.#state = 'packet';
      return;
    }
    this.errorCode = code;
    this.wantsFile = false;
    this.#state = 'none';
  }

  #ended(status: number): void {
    this.status = status;
    this.wantsFile = false;
    this.#state = this.#shape === 'result' && (status & ServerStatus.moreResults) !== 0 ? 'first' : 'none';
  }
}
