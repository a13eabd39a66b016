/**
 * Transactions that have been handed on and are not confirmed, by GTID: each with the position that it was given on the server where it was read. When
 * another server is read after a failover it sends them again from places of its own, and by this they keep their position: what has been applied or
 * spooled is known again, and nothing is doubled.
 *
 * On disk before the stream has them, for the next process; not fsynced. After a crash of the machine some may be unknown: a stream that has more than is
 * known here does not go over to another server (`last`).
 */
import * as fs from 'node:fs';

/** What is confirmed is left out of the file once it is that much. */
const WORTH_REWRITING_BYTES = 256 * 1024;
/** Some 100 MB: far more than lies between two confirmations. Beyond it the oldest are forgotten, and said to be. */
const MOST = 1_000_000;

export class SentTransactions {
  readonly #file: string;
  readonly #orders = new Map<string, bigint>();
  /** Why the stream cannot go on at the server that is read now; found while reading. */
  refusal: Error | undefined;
  #last = 0n;
  #unwritten: string[] = [];
  #fd: number | undefined;
  #fileBytes = 0;
  #forgottenUpTo = 0n;

  constructor(file: string) {
    this.#file = file;
    if (!fs.existsSync(file)) return;
    const lines = fs.readFileSync(file, 'utf8').split('\n');
    // What follows the last line end is torn, or nothing.
    for (const line of lines.slice(0, -1)) {
      const [, order = '', gtid = ''] = /^(\d+) (\S.*)$/.exec(line) ?? [];
      if (gtid !== '') this.#set(gtid, BigInt(order));
    }
  }

  /** The largest position that is known here; 0 where there is none. */
  get last(): bigint {
    return this.#last;
  }

  /** Of those up to here not all are known, though they are not confirmed. */
  get forgottenUpTo(): bigint {
    return this.#forgottenUpTo;
  }

  get gtids(): Iterable<string> {
    return this.#orders.keys();
  }

  /** Those that were given a position between these. */
  between(from: bigint, to: bigint): ReadonlyMap<string, bigint> {
    return new Map([...this.#orders].filter(([, given]) => given > from && given < to));
  }

  /** Written by `flush`. */
  note(gtid: string, order: bigint): void {
    if (gtid === '' || this.#orders.get(gtid) === order) return;
    this.#set(gtid, order);
    this.#unwritten.push(`${order} ${gtid}\n`);
    if (this.#orders.size <= MOST) return;
    const [oldest] = this.#orders;
    if (!oldest) return;
    this.#orders.delete(oldest[0]);
    this.#forgottenUpTo = oldest[1];
  }

  #set(gtid: string, order: bigint): void {
    this.#orders.set(gtid, order);
    if (order > this.#last) this.#last = order;
  }

  /** Before what was noted is handed on. */
  flush(): void {
    if (this.#unwritten.length === 0) return;
    this.#fd ??= fs.openSync(this.#file, 'a');
    const text = this.#unwritten.join('');
    fs.appendFileSync(this.#fd, text);
    this.#fileBytes += text.length;
    this.#unwritten = [];
  }

  /** Everything up to `order` will not be read again. */
  confirm(order: bigint): void {
    for (const [gtid, given] of this.#orders) if (given <= order) this.#orders.delete(gtid);
    if (this.#forgottenUpTo <= order) this.#forgottenUpTo = 0n;
    if (this.#fileBytes > WORTH_REWRITING_BYTES) this.#rewrite();
  }

  #rewrite(): void {
    this.close();
    const text = [...this.#orders].map(([gtid, order]) => `${order} ${gtid}\n`).join('');
    fs.writeFileSync(`${this.#file}.new`, text);
    fs.renameSync(`${this.#file}.new`, this.#file);
    this.#unwritten = [];
    this.#fileBytes = 0;
  }

  close(): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
  }

  remove(): void {
    this.close();
    this.#orders.clear();
    this.#unwritten = [];
    this.#last = this.#forgottenUpTo = 0n;
    this.refusal = undefined;
    fs.rmSync(this.#file, { force: true });
  }
}
