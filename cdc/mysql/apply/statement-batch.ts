/**
 * Statements on their way to the server, gathered to one text: as many as a packet takes, within a bound of our own. A value that would not fit into its
 * statement goes ahead in pieces, into a variable of the session.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import type { MysqlApplyConnection } from './apply-connection.ts';

export type OnCount = (found: number) => void;

const TEXT_BYTES = 1 << 20;
/** Of a packet, for its head and what stands around a value. */
const SPARE_BYTES = 1024;
/** Values below it stay in their statement. */
const SMALL_CHARACTERS = 1024;

export class StatementBatch {
  readonly #connection: MysqlApplyConnection;
  readonly #textBytes: number;
  /** What a statement may have. */
  readonly statementBytes: number;
  #texts: string[] = [];
  #counts: (OnCount | undefined)[] = [];
  #bytes = 0;
  #variables = 0;

  constructor(connection: MysqlApplyConnection) {
    this.#connection = connection;
    this.statementBytes = Math.max(1, Math.min(TEXT_BYTES, Math.floor(connection.maxPacket / 2) - SPARE_BYTES));
    this.#textBytes = this.statementBytes;
  }

  get isFull(): boolean {
    return this.#bytes >= this.#textBytes;
  }

  /** `bytes`: of the statement, where they are known. */
  async add(sql: string, onCount?: OnCount, bytes = Buffer.byteLength(sql)): Promise<void> {
    if (this.#bytes + bytes > this.#textBytes) await this.flush();
    this.#texts.push(sql);
    this.#counts.push(onCount);
    this.#bytes += bytes + 1;
  }

  /** All of it has been done. Throws the first error; what is behind it was not begun. */
  async flush(): Promise<void> {
    if (this.#texts.length === 0) return;
    const [sql, counts] = [this.#texts.join(';'), this.#counts];
    this.#texts = [];
    this.#counts = [];
    this.#bytes = 0;
    const found = await this.#connection.run(sql);
    if (found.length !== counts.length) throw new Error(`${counts.length} statements had ${found.length} answers`);
    counts.forEach((onCount, index) => onCount?.(found[index] ?? 0));
  }

  /**
   * A row's literals, so that its statement fits: the long ones are variables. `forget` has to be added behind the statement. Throws MIG014 for a value
   * that no packet of the server holds.
   */
  async fit(literals: readonly string[]): Promise<{ readonly literals: readonly string[]; readonly forget: string | undefined }> {
    const bytes = literals.reduce((sum, each) => sum + Buffer.byteLength(each) + 2, 0);
    if (bytes <= this.statementBytes / 2) return { literals, forget: undefined };
    const fitted: string[] = [];
    const names: string[] = [];
    for (const each of literals) {
      if (each.length <= SMALL_CHARACTERS) {
        fitted.push(each);
        continue;
      }
      const name = `@causeway_${(this.#variables += 1)}`;
      names.push(name);
      await this.#send(name, each);
      fitted.push(name);
    }
    return { literals: fitted, forget: `SET ${names.map((name) => `${name} = NULL`).join(', ')}` };
  }

  async #send(name: string, literal: string): Promise<void> {
    const { maxPacket } = this.#connection;
    const isHex = literal.startsWith("x'");
    const size = isHex ? (literal.length - 3) / 2 : Buffer.byteLength(literal);
    if (size > maxPacket - SPARE_BYTES) throw new MigrationError('MIG014', `the source takes no value of ${size} bytes`, { detail: `max_allowed_packet is ${maxPacket}.`, hint: 'SET GLOBAL max_allowed_packet on the source, and RESUME MIGRATION.' });
    // Four bytes are the most that a character has.
    const characters = Math.max(16, Math.floor(this.statementBytes / 8) & ~1);
    const [head, body] = isHex ? ["x'", literal.slice(2, -1)] : ["'", literal.slice(1, -1)];
    let isFirst = true;
    for (let at = 0; at < body.length; ) {
      let end = Math.min(body.length, at + characters);
      if (!isHex) while (end < body.length && splitsCharacter(body, at, end)) end -= 1;
      const piece = `${head}${body.slice(at, end)}'`;
      await this.add(isFirst ? `SET ${name} = ${piece}` : `SET ${name} = CONCAT(${name}, ${piece})`);
      isFirst = false;
      at = end;
    }
  }
}

/** A pair of surrogates, or a backslash and what it escapes, stay together. */
function splitsCharacter(body: string, from: number, end: number): boolean {
  const next = body.charCodeAt(end);
  if (next >= 0xdc00 && next <= 0xdfff) return true;
  let backslashes = 0;
  for (let at = end - 1; at >= from && body[at] === '\\'; at -= 1) backslashes += 1;
  return backslashes % 2 === 1;
}
