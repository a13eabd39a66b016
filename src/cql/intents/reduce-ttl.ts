/**
 * A write that was kept back must not live longer on the cluster that gets it late: its TTL is what is left of it.
 *
 * What has run out is sent all the same, with one second. Left out, an older value under it would show on the one cluster and be covered on the other: a cell that expires is a deletion.
 * A TTL that the table gives by default stands in no frame, and is not reduced here.
 */
import type { CqlStatement, CqlTerm } from '../../../grammar/cql/statement.ts';
import { BodyReader } from '../../wire/cql/body-reader.ts';
import { opcodes } from '../../wire/cql/frame.ts';
import { findBatch, findParameters, newPlaces, queryFlags } from '../../wire/cql/request-body.ts';
import type { Intent } from './intent-log.ts';

interface Change {
  readonly at: number;
  readonly bytes: number;
  readonly by: Buffer;
}

/** The body with what is left of its TTLs after `elapsedMs`; itself when there is nothing to change. A RangeError when it is not what its opcode says. */
export function reduceTtl(intent: Intent, elapsedMs: number, read: (text: string) => CqlStatement): Buffer {
  const elapsed = Math.round(elapsedMs / 1000);
  if (elapsed <= 0) return intent.body;
  const changes = changesOf(intent, elapsed, read).sort((a, b) => a.at - b.at);
  if (changes.length === 0) return intent.body;
  const parts: Buffer[] = [];
  let at = 0;
  for (const change of changes) {
    parts.push(intent.body.subarray(at, change.at), change.by);
    at = change.at + change.bytes;
  }
  parts.push(intent.body.subarray(at));
  return Buffer.concat(parts);
}

function changesOf({ opcode, body, statements }: Intent, elapsed: number, read: (text: string) => CqlStatement): Change[] {
  switch (opcode) {
    case opcodes.query: return ofQuery(body, elapsed, read);
    case opcodes.execute: {
      const [statement] = statements;
      if (!statement) return [];
      const reader = new BodyReader(body);
      reader.skipShortBytes();
      return ofParameters(body, reader.at, ttlsOf(read(statement.text)), read(statement.text), elapsed);
    }
    case opcodes.batch: return ofBatch(body, statements.map(({ text }) => text), elapsed, read);
    default: return [];
  }
}

function ttlsOf(facts: CqlStatement): readonly CqlTerm[] {
  return [facts, ...(facts.batch?.children ?? [])].flatMap(({ ttl }) => ttl ?? []);
}

function ofQuery(body: Buffer, elapsed: number, read: (text: string) => CqlStatement): Change[] {
  const reader = new BodyReader(body);
  const text = reader.longString();
  const facts = read(text);
  const ttls = ttlsOf(facts);
  if (ttls.length === 0) return [];
  return [...ofText(0, reader.at, text, ttls, elapsed), ...ofParameters(body, reader.at, ttls, facts, elapsed)];
}

/** The text from its length on, `from` to `end`, written anew when a TTL stands in it. */
function ofText(from: number, end: number, text: string, ttls: readonly CqlTerm[], elapsed: number): Change[] {
  const literals = ttls.flatMap((term) => (term.kind === 'constant' && term.form === 'number' && Number(term.text) > 0 ? [term] : [])).sort((a, b) => b.start - a.start);
  if (literals.length === 0) return [];
  let changed = text;
  for (const { start, end: behind, text: number } of literals) changed = `${changed.slice(0, start)}${left(Number(number), elapsed)}${changed.slice(behind)}`;
  const bytes = Buffer.byteLength(changed);
  const by = Buffer.alloc(4 + bytes);
  by.writeInt32BE(bytes, 0);
  by.write(changed, 4);
  return [{ at: from, bytes: end - from, by }];
}

function ofParameters(body: Buffer, start: number, ttls: readonly CqlTerm[], facts: CqlStatement, elapsed: number): Change[] {
  const binds = ttls.flatMap((term) => (term.kind === 'bind' ? [term.index] : []));
  if (binds.length === 0) return [];
  const places = newPlaces();
  findParameters(body, start, body.length, places);
  const hasNames = ((body[places.flagsAt] ?? 0) & queryFlags.names) !== 0;
  const names = hasNames ? binds.map((index) => facts.bindNames[index] ?? '[ttl]') : [];
  return ofValues(body, places.valuesAt, places.valueCount, hasNames, (index, name) => (hasNames ? names.includes(name) : binds.includes(index)), elapsed);
}

function ofValues(body: Buffer, at: number, count: number, hasNames: boolean, isTtl: (index: number, name: string) => boolean, elapsed: number): Change[] {
  if (at < 0) return [];
  const reader = new BodyReader(body, at);
  const changes: Change[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = hasNames ? reader.string() : '';
    const value = reader.bytes();
    if (value?.length !== 4 || !isTtl(index, name) || value.readInt32BE(0) <= 0) continue;
    const by = Buffer.alloc(4);
    by.writeInt32BE(left(value.readInt32BE(0), elapsed), 0);
    changes.push({ at: reader.at - 4, bytes: 4, by });
  }
  return changes;
}

function ofBatch(body: Buffer, texts: readonly string[], elapsed: number, read: (text: string) => CqlStatement): Change[] {
  let prepared = 0;
  return findBatch(body, 0, body.length).children.flatMap(({ at, bytes, isPrepared, valuesAt, valueCount }) => {
    const text = isPrepared ? texts[prepared++] ?? '' : body.toString('utf8', at, at + bytes);
    const ttls = ttlsOf(read(text));
    const binds = ttls.flatMap((term) => (term.kind === 'bind' ? [term.index] : []));
    const values = binds.length === 0 ? [] : ofValues(body, valuesAt, valueCount, false, (index) => binds.includes(index), elapsed);
    return isPrepared ? values : [...ofText(at - 4, at + bytes, text, ttls, elapsed), ...values];
  });
}

function left(ttl: number, elapsed: number): number {
  return Math.max(1, ttl - elapsed);
}
