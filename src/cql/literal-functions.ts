/**
 * Calls that every cluster would answer otherwise, written as the value that both shall have: `now()` → a timeuuid, `uuid()` → a uuid, and those of the present time.
 * Done for texts; a prepared statement's calls are not, its copy on the shadow comes from a repair.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { CqlUnstableCall } from '../../grammar/cql/statement.ts';

/** 100 ns between 1582-10-15 and 1970-01-01. */
const GREGORIAN_OFFSET = 0x01b21dd213814000n;

export class TimeUuids {
  /** Clock sequence and node: of this process, with the multicast bit that says so. */
  readonly #tail = randomBytes(8);
  #last = 0n;

  constructor() {
    this.#tail[0] = ((this.#tail[0] ?? 0) & 0x3f) | 0x80;
    this.#tail[2] = (this.#tail[2] ?? 0) | 0x01;
  }

  next(nowMs: number): string {
    const now = BigInt(Math.floor(nowMs)) * 10_000n + GREGORIAN_OFFSET;
    this.#last = now > this.#last ? now : this.#last + 1n;
    const hex = this.#last.toString(16).padStart(15, '0');
    const tail = this.#tail.toString('hex');
    return `${hex.slice(7)}-${hex.slice(3, 7)}-1${hex.slice(0, 3)}-${tail.slice(0, 4)}-${tail.slice(4)}`;
  }
}

/** The text with literals for its calls; undefined when one of them has none. */
export function withLiterals(text: string, calls: readonly CqlUnstableCall[], nowMs: number, timeUuids: TimeUuids): string | undefined {
  let out = '';
  let from = 0;
  for (const { name, isKnown, start, end } of calls) {
    const literal = isKnown ? literalOf(name.replaceAll('_', ''), nowMs, timeUuids) : undefined;
    if (literal === undefined || start < from) return undefined;
    out += text.slice(from, start) + literal;
    from = end;
  }
  return out + text.slice(from);
}

function literalOf(name: string, nowMs: number, timeUuids: TimeUuids): string | undefined {
  switch (name) {
    case 'now': case 'currenttimeuuid': return timeUuids.next(nowMs);
    case 'uuid': return randomUUID();
    case 'currenttimestamp': return String(Math.floor(nowMs));
    case 'currentdate': return `'${new Date(nowMs).toISOString().slice(0, 10)}'`;
    case 'currenttime': return `'${new Date(nowMs).toISOString().slice(11, 23)}'`;
    default: return undefined;
  }
}
