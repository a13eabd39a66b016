/**
 * A request's frame as a cluster gets it: another stream id, that cluster's prepared id, and nothing else changed. Everything is copied straight into
 * what goes out; a batch, whose children may each have an id, is put together first.
 */
import { BodyWriter } from '../wire/cql/body-writer.ts';
import { HEADER_BYTES, headerFlags, makeFrame, opcodes, writeHeader } from '../wire/cql/frame.ts';
import { queryFlags } from '../wire/cql/request-body.ts';
import { LONG_BYTES } from './outbox.ts';
import type { Outbox } from './outbox.ts';
import { ID_BYTES } from './prepared-registry.ts';
import type { Leg } from './request.ts';

/** Flags of a request that the shadow does not get: traces and payloads are the primary's. */
const ownFlags = headerFlags.tracing | headerFlags.payload;

export function writeLeg(out: Outbox, leg: Leg, stream: number): void {
  const { request, cluster } = leg;
  const { frame, start, end, messageAt, opcode } = request;
  const isShadow = request.plan.primary !== cluster;
  const version = frame.readUInt8(start);
  const flags = isShadow ? 0 : frame.readUInt8(start + 1) & ownFlags;
  /** What stands before the message, and goes along. */
  const from = isShadow ? messageAt : start + HEADER_BYTES;
  if (opcode === opcodes.execute && request.entry) {
    const id = request.entry.ids[cluster];
    if (!id) throw new Error('the statement is not prepared');
    const rest = messageAt + 2 + ID_BYTES;
    const length = messageAt - from + 2 + id.length + end - rest;
    const at = out.reserve(HEADER_BYTES + length);
    const { block } = out;
    writeHeader(block, at, version, flags, stream, opcode, length);
    let to = at + HEADER_BYTES;
    if (id.length === ID_BYTES) {
      // One copy, and the id over the one that stands there: what copying costs is the call.
      frame.copy(block, to, from, end);
      to += messageAt - from + 2;
      for (let index = 0; index < ID_BYTES; index += 1) block[to + index] = id[index] ?? 0;
      to += ID_BYTES;
      if (!request.entry.maySkipMetadata(cluster)) block[to + 2] = (block[to + 2] ?? 0) & ~queryFlags.skipMetadata;
      return;
    }
    to += frame.copy(block, to, from, messageAt);
    block[to] = id.length >> 8;
    block[to + 1] = id.length & 0xff;
    to += 2;
    to += id.copy(block, to);
    frame.copy(block, to, rest, end);
    if (!request.entry.maySkipMetadata(cluster)) block[to + 2] = (block[to + 2] ?? 0) & ~queryFlags.skipMetadata;
    return;
  }
  if (request.batch) {
    const body = request.batch.bodyFor(cluster, isShadow, frame, end);
    out.pass(makeFrame({ version, flags, stream, opcode }, from === messageAt ? body : Buffer.concat([frame.subarray(from, messageAt), body])));
    return;
  }
  if (opcode === opcodes.prepare && request.entry && request.entry.sent.calls.length > 0) {
    out.pass(makeFrame({ version, flags, stream, opcode }, Buffer.concat([frame.subarray(from, messageAt), new BodyWriter(request.entry.sent.text.length + 8).longString(request.entry.sent.text).done()])));
    return;
  }
  const length = end - from;
  if (length >= LONG_BYTES) {
    const head = out.reserve(HEADER_BYTES);
    writeHeader(out.block, head, version, flags, stream, opcode, length);
    out.pass(frame.subarray(from, end));
    return;
  }
  const at = out.reserve(HEADER_BYTES + length);
  writeHeader(out.block, at, version, flags, stream, opcode, length);
  frame.copy(out.block, at + HEADER_BYTES, from, end);
}
