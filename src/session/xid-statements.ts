/** The prepared statement of the gateway's own, on one connection, that asks for the transaction's id. */
const NAME = 'causeway_xid';

export class XidStatements {
  /** Of the one that can be bound, once the server has confirmed it. */
  name: string | undefined;
  #made = 0;
  #gone = 0;

  /** A name that was never used here: a Parse behind an error is skipped, and whether there was one is known only later. */
  next(): string {
    this.#made += 1;
    return `${NAME}_${this.#made}`;
  }

  /** The server has prepared it; one that was sent in front of a DISCARD is gone again. */
  confirmed(name: string | undefined): void {
    if (name !== undefined && Number(name.slice(NAME.length + 1)) > this.#gone) this.name ??= name;
  }

  forget(): void {
    this.#gone = this.#made;
    this.name = undefined;
  }
}
