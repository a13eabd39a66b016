/** Answers to a MySQL client of what has run on local. */
import type { MysqlResultColumn } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import type { Capabilities } from '../../wire/mysql/capabilities.ts';
import { Collation, ColumnType } from '../../wire/mysql/column-definition.ts';
import type { ColumnDefinition } from '../../wire/mysql/column-definition.ts';
import { writeMysqlError } from '../../wire/mysql/error-packet.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { writeEnd, writeOk } from '../../wire/mysql/ok-packet.ts';
import type { OkPacket } from '../../wire/mysql/ok-packet.ts';
import { writePackets } from '../../wire/mysql/packets.ts';
import { writeResultHead } from '../../wire/mysql/result-set.ts';
import { ResultRows } from './result-rows.ts';
import { charsetOf } from './text-charset.ts';

/** Widths are told for characters of four bytes. */
const WIDEST = 4;
const LARGEST = 0xffffffff;
const LOCAL_INFILE = 0xfb;

export class LocalAnswer {
  readonly #capabilities: Capabilities;
  readonly #write: (bytes: Buffer) => void;
  /** Of the packet that comes next. */
  #sequence: number;

  constructor(capabilities: Capabilities, sequence: number, write: (bytes: Buffer) => void) {
    this.#capabilities = capabilities;
    this.#sequence = sequence & 0xff;
    this.#write = write;
  }

  /** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_local_infile_request.html */
  askForFile(name: string): void {
    this.#packet(Buffer.concat([Buffer.of(LOCAL_INFILE), Buffer.from(name, 'utf8')]));
  }

  /** The client has sent packets in between. */
  goOnBehind(sequence: number): void {
    this.#sequence = (sequence + 1) & 0xff;
  }

  ok(packet: OkPacket): void {
    this.#packet(writeOk(packet, this.#capabilities));
  }

  error(error: MysqlError): void {
    this.#packet(writeMysqlError(error));
  }

  /** `collation`: its number; undefined: the usual one of the character set. */
  rows(columns: readonly MysqlResultColumn[], isBinary: boolean, keepsRest: boolean, { charset, collation }: { readonly charset: string; readonly collation: number | undefined }, status: () => number): ResultRows {
    const definitions = columns.map((column) => definition(column, charset, collation || undefined));
    return new ResultRows({ columns, isBinary, charset, keepsRest, write: this.#write, head: () => writeResultHead(definitions, status(), this.#capabilities, this.#sequence) });
  }

  /** What comes behind the rows. */
  endRows(rows: ResultRows, status: number): void {
    this.#sequence = rows.end();
    this.#packet(writeEnd(status, this.#capabilities));
  }

  /** An error in place of the end, or of everything. */
  failRows(rows: ResultRows | undefined, error: MysqlError): void {
    if (rows?.hasBegun === true) this.#sequence = rows.end();
    this.error(error);
  }

  #packet(payload: Buffer): void {
    this.#write(writePackets(payload, this.#sequence));
    this.#sequence = (this.#sequence + 1) & 0xff;
  }
}

/** Bytes that a TEXT holds at most, which servers tell as if they were characters of the result's character set. */
const textBytes: ReadonlySet<number> = new Set([255, 65_535, 16_777_215]);

function definition(column: MysqlResultColumn, charset: string, collation: number | undefined): ColumnDefinition {
  const { name, orgName, table, orgTable, database, type, flags, decimals, extension } = column;
  return {
    schema: database, table, originalTable: orgTable, name, originalName: orgName, type, flags, decimals, length: widthOf(column, charset),
    ...(extension === undefined ? {} : { extension }),
    collation: column.charset === 'binary' ? Collation.binary : collation ?? charsetOf(charset)?.collation ?? Collation.utf8mb4,
  };
}

function widthOf({ type, length, charset: kind }: MysqlResultColumn, charset: string): number {
  const bytes = charsetOf(charset)?.bytes;
  if (kind === 'binary' || bytes === undefined || charset === 'binary' || length === LARGEST) return length;
  if (type === ColumnType.blob && textBytes.has(length)) return length * bytes;
  return bytes === WIDEST ? length : Math.floor(length / WIDEST) * bytes;
}
