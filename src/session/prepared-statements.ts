/**
 * A session's prepared statements and portals, and on which leg each of them is.
 *
 * The protocol's Parse and SQL's PREPARE share one space of names. What made a statement is kept, so that it can be made again on the other
 * leg when its route has changed.
 */
import type { Side } from '../../catalog/routing-snapshot.ts';
import type { Segment } from '../execute/segment.ts';
import type { CommandResult } from './control-port.ts';
import type { StatementShape } from './local-answers.ts';
import type { MysqlPortal } from './mysql-tables/mysql-portal.ts';
import type { TextTraits } from './text-traits.ts';

export interface StatementPlaces {
  source: boolean;
  local: boolean;
  /** Of one on pooled connections: the server has skipped its last Parse there, because of an error before it. */
  skipped?(side: Side): void;
}

export interface PreparedStatement {
  readonly name: string;
  /** The Parse message, or the text of a PREPARE. */
  readonly origin: { readonly type: 'parse'; readonly message: Buffer } | { readonly type: 'sql'; readonly text: string };
  readonly traits: TextTraits;
  /** The SQL of a Parse; undefined for texts that only legs see. */
  readonly sql: string | undefined;
  readonly on: StatementPlaces;
  /** Of a PREPARE over tables of both sides: where it is under its name, for what a server says of it, without rows. It does not run there. */
  shapeOn: Side | undefined;
  /** Answer of a migration statement that a Describe has already run. */
  described: CommandResult | undefined;
  /** As local has told it, while it is prepared there. */
  shape?: StatementShape | undefined;
}

export interface Portal {
  readonly statement: PreparedStatement | undefined;
  /** The leg that holds it; `gateway` when no leg does. */
  readonly at: Side | 'gateway';
  /** Rows still to be sent, for portals of the gateway. */
  result: { readonly answer: CommandResult; sent: number } | undefined;
  /** Of one that the MySQL server answers, `at` the gateway. */
  readonly mysql?: MysqlPortal | undefined;
  /** Of the columns, for portals on local that give any of them in binary. */
  readonly formats?: Buffer | undefined;
}

/** The side that is asked about it; undefined when none has it. */
export function sideOf({ on, shapeOn }: PreparedStatement): Side | undefined {
  return on.source ? 'source' : on.local ? 'local' : shapeOn;
}

/** Of what runs when it is bound: not of the PREPARE that made it. */
export function boundTraits({ origin, traits }: PreparedStatement): TextTraits {
  return origin.type === 'sql' ? (traits.inner ?? traits) : traits;
}

export class PreparedStatements {
  readonly #named = new Map<string, PreparedStatement>();
  readonly #maxBytes: number;
  #bytes = 0;
  #unnamed: PreparedStatement | undefined;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** With a name. */
  get size(): number {
    return this.#named.size;
  }

  get(name: string): PreparedStatement | undefined {
    return name === '' ? this.#unnamed : this.#named.get(name);
  }

  /** False when the session's limit is reached. A name that is taken keeps what it has: the server will refuse the second. */
  add(statement: PreparedStatement): boolean {
    if (statement.name === '') {
      this.#unnamed = statement;
      return true;
    }
    if (this.#named.has(statement.name)) return true;
    const bytes = size(statement);
    if (this.#bytes + bytes > this.#maxBytes) return false;
    this.#bytes += bytes;
    this.#named.set(statement.name, statement);
    return true;
  }

  remove(name: string): PreparedStatement | undefined {
    const statement = this.get(name);
    if (name === '') this.#unnamed = undefined;
    else if (statement && this.#named.delete(name)) this.#bytes -= size(statement);
    return statement;
  }

  /** A failed pipeline has skipped some of its Parses; a PREPARE that failed has made nothing. */
  forgetUnmade(segment: Segment, side: Side): void {
    if (segment.prepares !== undefined) this.remove(segment.prepares);
    for (const [ordinal, { name, statement: parsed, again }] of segment.parsedNames ?? []) {
      const statement = ordinal < segment.parsesSeen ? undefined : this.get(name);
      // The name may be another one's by now.
      if (!statement || statement !== parsed) continue;
      if (statement.on.skipped) statement.on.skipped(side);
      else statement.on[side] = false;
      if (!again && (statement.on.skipped !== undefined || sideOf(statement) === undefined)) this.remove(name);
    }
  }

  clear(): void {
    this.#named.clear();
    this.#bytes = 0;
  }

  /** The leg is gone, and with it what was prepared there. */
  forget(side: Side): void {
    for (const statement of [...this.#named.values(), ...(this.#unnamed ? [this.#unnamed] : [])]) {
      statement.on[side] = false;
      if (side === 'local') statement.shape = undefined;
      if (statement.shapeOn === side) statement.shapeOn = undefined;
    }
  }

  get limitBytes(): number {
    return this.#maxBytes;
  }
}

function size(statement: PreparedStatement): number {
  return 200 + statement.name.length + (statement.origin.type === 'parse' ? statement.origin.message.length : statement.origin.text.length);
}
