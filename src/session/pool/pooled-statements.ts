/**
 * Prepared statements of sessions on pooled connections. The same text with the same types has one name on every server, whatever the
 * clients call it, so that a connection that has it need not parse it again for the next session.
 */
import type { Side } from '../../../catalog/routing-snapshot.ts';
import { parse, parseAs, readParse } from '../../wire/frontend-messages.ts';
import type { Backend } from '../backend.ts';
import type { StatementPlaces } from '../prepared-statements.ts';

/** Answered like any Parse, and nearly for nothing. */
const emptyParse = parse('', '');
/** No statement has it: closing it is answered, and does nothing. */
export const noStatement = 'causeway_none';

/** Of a process. What is forgotten here gets another name when it comes again. */
export class StatementNames {
  readonly #names = new Map<string, string>();
  readonly #maxBytes: number;
  #bytes = 0;
  #count = 0;

  constructor(maxBytes = 64 << 20) {
    this.#maxBytes = maxBytes;
  }

  /** A name for one that is nobody else's. */
  own(): string {
    this.#count += 1;
    return `causeway_p${this.#count}`;
  }

  /** The name for what a Parse message parses: its text and its types. */
  of(message: Buffer, textStart: number): string {
    const key = message.toString('latin1', textStart);
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = this.own();
    this.#names.set(key, name);
    this.#bytes += key.length;
    for (const oldest of this.#bytes > this.#maxBytes ? this.#names.keys() : []) {
      this.#names.delete(oldest);
      this.#bytes -= oldest.length;
      if (this.#bytes <= this.#maxBytes) break;
    }
    return name;
  }
}

/** Where a statement is prepared: on the connections that the legs have at the moment. */
export class PooledPlaces implements StatementPlaces {
  readonly #isNamed: boolean;
  readonly #names: StatementNames;
  readonly #backend: (side: Side) => Backend | undefined;
  readonly #nameOn: { source: string | undefined; local: string | undefined } = { source: undefined, local: undefined };
  readonly #shared: { source?: { readonly name: string; readonly message: Buffer }; local?: { readonly name: string; readonly message: Buffer } } = {};
  /** Its last Parse on this side was a real one. */
  readonly #parsed: { source: boolean; local: boolean } = { source: false, local: false };
  /** Where it is on its session's own connection under the client's name as well, for SQL's EXECUTE. */
  readonly underOwnName = { source: false, local: false };
  readonly #isOwn: boolean;

  /** `isOwn`: what it gives depends on more than its text and its types, so it cannot be another session's. */
  constructor(isNamed: boolean, isOwn: boolean, names: StatementNames, backend: (side: Side) => Backend | undefined) {
    this.#isNamed = isNamed;
    this.#isOwn = isOwn;
    this.#names = names;
    this.#backend = backend;
  }

  /** For a connection that is not the session's: the name there, and the Parse that makes it. Undefined when the statement was never parsed on that side. */
  preparedOn(side: Side, message: Buffer): { readonly name: string; readonly message: Buffer } | undefined {
    const kept = this.#shared[side];
    if (kept) return kept;
    const name = this.#nameOn[side];
    if (side === 'local' || (name === undefined && this.#isNamed)) return undefined;
    const parts = readParse(message, 0, message.length);
    if (!parts) return undefined;
    const shared = name ?? this.#names.of(message, parts.textStart);
    return (this.#shared[side] = { name: shared, message: parseAs(message, parts, shared, message.subarray(parts.textStart, parts.textEnd)) });
  }

  /** The message that has the same answer as this Parse, and leaves the statement prepared on that side. `isFailing`: in a block that has failed the server refuses it. */
  parseOn(side: Side, message: Buffer, isFailing: boolean): Buffer {
    const backend = this.#backend(side);
    const parts = readParse(message, 0, message.length);
    if (!this.#isNamed || !backend || !parts) {
      if (backend) backend.unnamed = this;
      return message;
    }
    const name = this.#isOwn ? (this.#nameOn.source ?? this.#nameOn.local ?? this.#names.own()) : this.#names.of(message, parts.textStart);
    this.#nameOn[side] = name;
    if (side === 'local') this.#shared.local ??= { name, message: parseAs(message, parts, name, message.subarray(parts.textStart, parts.textEnd)) };
    this.#parsed[side] = !backend.prepared.has(name);
    if (!this.#parsed[side] && !isFailing) {
      backend.unnamed = undefined;
      return emptyParse;
    }
    if (!isFailing) backend.prepared.add(name);
    return parseAs(message, parts, name, message.subarray(parts.textStart, parts.textEnd));
  }

  /** The name on that side; undefined when the client's own counts: none. */
  nameOn(side: Side): string | undefined {
    return this.#isNamed ? this.#nameOn[side] : undefined;
  }

  /** The server has skipped its last Parse there, because of an error before it. */
  skipped(side: Side): void {
    const name = this.#nameOn[side];
    if (!this.#isNamed) this.#set(side, false);
    else if (this.#parsed[side] && name !== undefined) this.#backend(side)?.prepared.delete(name);
  }

  get source(): boolean {
    return this.#isOn('source');
  }

  set source(isOn: boolean) {
    this.#set('source', isOn);
  }

  get local(): boolean {
    return this.#isOn('local');
  }

  set local(isOn: boolean) {
    this.#set('local', isOn);
  }

  #isOn(side: Side): boolean {
    const backend = this.#backend(side);
    if (!backend) return false;
    const name = this.#nameOn[side];
    return this.#isNamed ? name !== undefined && backend.prepared.has(name) : backend.unnamed === this;
  }

  /** A named one is on a connection once it was parsed there, and nothing that a session does takes it away. */
  #set(side: Side, isOn: boolean): void {
    if (!isOn) this.underOwnName[side] = false;
    const backend = this.#backend(side);
    if (!this.#isNamed && backend) backend.unnamed = isOn ? this : backend.unnamed === this ? undefined : backend.unnamed;
  }
}

/** What the server of that side knows the statement by. */
export function nameOn({ name, on }: { readonly name: string; readonly on: StatementPlaces }, side: Side): string {
  return on instanceof PooledPlaces ? (on.nameOn(side) ?? name) : name;
}
