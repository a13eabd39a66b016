/** Writes answers to a client: those of a cluster under the client's stream id, with the proxy's own prepared id and a marked paging state; and those of the proxy itself. */
import { compressedFrame } from '../wire/cql/compression.ts';
import type { Compression } from '../wire/cql/compression.ts';
import { errorBody, errorCodes, readTimeoutBody, writeTimeoutBody } from '../wire/cql/error-body.ts';
import type { TimeoutFacts, WriteType } from '../wire/cql/error-body.ts';
import { ANSWER_BIT, HEADER_BYTES, makeFrame, opcodes, writeHeader } from '../wire/cql/frame.ts';
import { pagingStateAt, readPrepared, resultKindAt, resultKinds } from '../wire/cql/result-body.ts';
import { LONG_BYTES } from './outbox.ts';
import type { Outbox } from './outbox.ts';
import { clientValues } from './prepared-calls.ts';
import type { PreparedEntry } from './prepared-registry.ts';
import type { Leg, Request } from './request.ts';
import { requestKinds } from './request-kinds.ts';
import { marked } from './rewrite-request.ts';

/** Below this compressing costs more than it saves. */
const COMPRESS_FROM_BYTES = 1024;
const SHORT_BYTES = 32;

export class AnswerWriter {
  readonly #outbox: Outbox;
  version = 4;
  compression: Compression | undefined;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  own(stream: number, opcode: number, body?: Buffer): void {
    const frame = makeFrame({ version: this.version | ANSWER_BIT, stream, opcode }, body);
    this.#whole(frame);
  }

  error(stream: number, code: number, message: string): void {
    this.own(stream, opcodes.error, errorBody(code, message));
  }

  /** The leg's answer as the request's. */
  pass(request: Request, leg: Leg): void {
    const { answer, answerStart, answerEnd, answerAt } = leg;
    if (!answer) {
      this.own(request.stream, opcodes.error, wordsFor(request, leg));
      return;
    }
    if (leg.code < 0 && answer.readUInt8(answerStart + 4) === opcodes.result) {
      if (request.kind === requestKinds.prepare && request.entry) {
        this.#whole(prepared(answer, answerStart, answerEnd, answerAt, request));
        return;
      }
      const stateAt = pagingStateAt(answer, answerAt);
      if (stateAt >= 0) {
        const frame = marked(answer, answerStart, answerEnd, stateAt, leg.cluster);
        frame.writeInt16BE(request.stream, 2);
        this.#whole(frame);
        return;
      }
    }
    const length = answerEnd - answerStart;
    if (length < LONG_BYTES && (this.compression === undefined || length < COMPRESS_FROM_BYTES)) {
      const at = this.#outbox.reserve(length);
      const { block } = this.#outbox;
      // The answer to a write has thirteen bytes: a loop has them copied before a call would have begun.
      if (length <= SHORT_BYTES) for (let index = 0; index < length; index += 1) block[at + index] = answer[answerStart + index] ?? 0;
      else answer.copy(block, at, answerStart, answerEnd);
      block[at + 2] = (request.stream >> 8) & 0xff;
      block[at + 3] = request.stream & 0xff;
      return;
    }
    // Nobody else reads these bytes any more.
    answer.writeInt16BE(request.stream, answerStart + 2);
    this.#whole(answer.subarray(answerStart, answerEnd));
  }

  #whole(frame: Buffer): void {
    const small = this.compression && frame.length >= COMPRESS_FROM_BYTES ? compressedFrame(frame, 0, frame.length, this.compression) : undefined;
    this.#outbox.pass(small ?? frame);
  }
}

/** PREPARED under the proxy's id. */
function prepared(answer: Buffer, start: number, end: number, at: number, { entry, stream, primary }: Request): Buffer {
  if (resultKindAt(answer, at) !== resultKinds.prepared || !entry) throw new RangeError('an answer to PREPARE that is no prepared statement');
  const version = answer.readUInt8(start);
  const result = readPrepared(answer, at, end, version & ~ANSWER_BIT);
  const head = answer.subarray(start + HEADER_BYTES, at + 4);
  const values = clientValues(result, version & ~ANSWER_BIT, entry.sent.calls);
  const out = Buffer.allocUnsafe(HEADER_BYTES + head.length + 2 + entry.id.length + values.length + result.rows.length);
  writeHeader(out, 0, version, answer.readUInt8(start + 1), stream, opcodes.result, out.length - HEADER_BYTES);
  let to = HEADER_BYTES + head.copy(out, HEADER_BYTES);
  to = out.writeUInt16BE(entry.id.length, to);
  to += entry.id.copy(out, to);
  to += values.copy(out, to);
  result.rows.copy(out, to);
  holdsRowsOf(entry, primary.cluster);
  return out;
}

/** From now on some client has this cluster's description of the rows. */
function holdsRowsOf(entry: PreparedEntry, cluster: number): void {
  entry.answeredFrom |= 1 << cluster;
}

/** An error that no cluster has said: with what drivers decide a retry by. */
function wordsFor(request: Request, { code, message }: Leg): Buffer {
  const facts: TimeoutFacts = { consistency: consistencyOf(request), received: 0, blockFor: 1 };
  if (code === errorCodes.writeTimeout) return writeTimeoutBody(message, facts, writeTypeOf(request));
  if (code === errorCodes.readTimeout) return readTimeoutBody(message, facts);
  // The others have fields that only a cluster can fill in.
  return errorBody(code === errorCodes.unavailable ? errorCodes.overloaded : code, message);
}

function writeTypeOf({ kind, batch }: Request): WriteType {
  if (kind === requestKinds.conditional) return 'CAS';
  if (!batch) return 'SIMPLE';
  return batch.places.type === 2 ? 'COUNTER' : batch.places.type === 1 ? 'UNLOGGED_BATCH' : 'BATCH';
}

function consistencyOf({ opcode, frame, messageAt, batch }: Request): number {
  if (batch) return frame.readUInt16BE(batch.places.consistencyAt);
  if (opcode === opcodes.query) return frame.readUInt16BE(messageAt + 4 + frame.readInt32BE(messageAt));
  return opcode === opcodes.execute ? frame.readUInt16BE(messageAt + 2 + frame.readUInt16BE(messageAt)) : 1;
}
