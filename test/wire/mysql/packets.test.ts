/** Property: however a stream is cut, the same payloads and the same ends of answers are found in it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AnswerTracker } from '../../../src/wire/mysql/answer-tracker.ts';
import type { AnswerShape } from '../../../src/wire/mysql/answer-tracker.ts';
import { Capability, MariadbCapability, ServerStatus } from '../../../src/wire/mysql/capabilities.ts';
import type { Capabilities } from '../../../src/wire/mysql/capabilities.ts';
import { Collation, ColumnType, writeColumnDefinition } from '../../../src/wire/mysql/column-definition.ts';
import { writeMysqlError } from '../../../src/wire/mysql/error-packet.ts';
import { EOF, writeEnd, writeOk } from '../../../src/wire/mysql/ok-packet.ts';
import { MAX_PACKET_BYTES, nextSequence, PacketScanner, readPayload, writePackets } from '../../../src/wire/mysql/packets.ts';
import { lengthEncoded } from '../../../src/wire/mysql/payload.ts';
import { writePrepareOk } from '../../../src/wire/mysql/statement-packets.ts';
import { writeTextRow } from '../../../src/wire/mysql/text-row.ts';

const old: Capabilities = { flags: Capability.protocol41, mariadb: 0 };
const modern: Capabilities = { flags: Capability.protocol41 | Capability.deprecateEof | Capability.sessionTrack, mariadb: 0 };
const optional: Capabilities = { flags: modern.flags | Capability.optionalMetadata, mariadb: 0 };
const cached: Capabilities = { flags: Capability.deprecateEof, mariadb: MariadbCapability.cacheMetadata | MariadbCapability.progress };

const autocommit = ServerStatus.autocommit;
const column = writeColumnDefinition({ name: 'a', collation: Collation.utf8mb4, length: 10, type: ColumnType.varString, flags: 0, decimals: 0 });

function packets(payloads: readonly Buffer[], from = 1): Buffer {
  let sequence = from;
  return Buffer.concat(payloads.map((payload) => {
    const written = writePackets(payload, sequence);
    sequence = nextSequence(payload, sequence);
    return written;
  }));
}

function rows(capabilities: Capabilities, status: number, count: Buffer = lengthEncoded(1), definitions = 1): Buffer[] {
  const isNew = (capabilities.flags & Capability.deprecateEof) !== 0;
  return [
    count, ...Array.from({ length: definitions }, () => column), ...(isNew ? [] : [writeEnd(status & ~ServerStatus.moreResults, capabilities)]),
    // Rows whose first byte is that of an OK, of NULL, and of a long text.
    writeTextRow(['']), writeTextRow([null]), writeTextRow(['x'.repeat(300)]), writeTextRow(['ÿþ']), writeEnd(status, capabilities),
  ];
}

const more = autocommit | ServerStatus.moreResults;
const inTransaction = autocommit | ServerStatus.inTransaction;

interface Answer {
  readonly name: string;
  readonly shape: AnswerShape;
  readonly capabilities: Capabilities;
  readonly payloads: readonly Buffer[];
  readonly status: number;
  readonly error?: number;
}

const answers: readonly Answer[] = [
  { name: 'OK', shape: 'result', capabilities: old, payloads: [writeOk({ status: inTransaction, affectedRows: 70_000, lastInsertId: 2n ** 40n }, old)], status: inTransaction },
  { name: 'OK with tracking and a text', shape: 'result', capabilities: modern, payloads: [writeOk({ status: autocommit, info: 'Rows matched: 1' }, modern)], status: autocommit },
  { name: 'error', shape: 'result', capabilities: old, payloads: [writeMysqlError({ code: 1146, sqlstate: '42S02', message: 'no' })], status: autocommit, error: 1146 },
  { name: 'rows', shape: 'result', capabilities: old, payloads: rows(old, inTransaction), status: inTransaction },
  { name: 'rows without EOF', shape: 'result', capabilities: modern, payloads: rows(modern, inTransaction), status: inTransaction },
  { name: 'rows with optional metadata', shape: 'result', capabilities: optional, payloads: rows(optional, autocommit, Buffer.of(1, 1)), status: autocommit },
  { name: 'rows with no metadata', shape: 'result', capabilities: optional, payloads: rows(optional, autocommit, Buffer.of(0, 1), 0), status: autocommit },
  { name: 'rows with cached metadata', shape: 'result', capabilities: cached, payloads: rows(cached, autocommit, Buffer.of(1, 0), 0), status: autocommit },
  { name: 'several', shape: 'result', capabilities: modern, payloads: [...rows(modern, more), writeOk({ status: more }, modern), ...rows(modern, inTransaction)], status: inTransaction },
  { name: 'several, the last in error', shape: 'result', capabilities: old, payloads: [...rows(old, more), writeMysqlError({ code: 1054, sqlstate: '42S22', message: 'x' })], status: more, error: 1054 },
  { name: 'error amid rows', shape: 'result', capabilities: modern, payloads: [...rows(modern, autocommit).slice(0, -1), writeMysqlError({ code: 1317, sqlstate: '70100', message: 'x' })], status: autocommit, error: 1317 },
  { name: 'progress before rows', shape: 'result', capabilities: cached, payloads: [Buffer.from([0xff, 0xff, 0xff, 1, 1, 1, 0, 0, 0, 0]), ...rows(cached, autocommit, Buffer.of(1, 1))], status: autocommit },
  { name: 'cursor', shape: 'result', capabilities: old, payloads: [lengthEncoded(1), column, writeEnd(autocommit | ServerStatus.cursorExists, old)], status: autocommit | ServerStatus.cursorExists },
  { name: 'fetch', shape: 'rows', capabilities: old, payloads: [Buffer.from([0, 0, 1, 120]), writeEnd(autocommit, old)], status: autocommit },
  { name: 'prepare', shape: 'prepare', capabilities: old, payloads: [writePrepareOk({ statementId: 7, columns: 2, parameters: 1, warnings: 0 }), column, writeEnd(2, old), column, column, writeEnd(2, old)], status: autocommit },
  { name: 'prepare without EOF', shape: 'prepare', capabilities: modern, payloads: [writePrepareOk({ statementId: 7, columns: 2, parameters: 1, warnings: 0 }), column, column, column], status: autocommit },
  { name: 'prepare of nothing', shape: 'prepare', capabilities: modern, payloads: [writePrepareOk({ statementId: 7, columns: 0, parameters: 0, warnings: 0 })], status: autocommit },
  { name: 'field list', shape: 'fields', capabilities: old, payloads: [column, column, writeEnd(autocommit, old)], status: autocommit },
  { name: 'statistics', shape: 'packet', capabilities: modern, payloads: [Buffer.from('Uptime: 3')], status: autocommit },
  { name: 'ping', shape: 'packet', capabilities: modern, payloads: [writeOk({ status: inTransaction }, modern)], status: inTransaction },
  { name: 'set option', shape: 'packet', capabilities: old, payloads: [writeEnd(inTransaction, old)], status: inTransaction },
];

test.each(answers.map((answer) => [answer.name, answer] as const))('the end of an answer, cut at every byte: %s', (_name, { shape, capabilities, payloads, status, error = 0 }) => {
  const bytes = packets(payloads);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const tracker = new AnswerTracker(capabilities);
    // Twice, so that what the first leaves behind would show.
    for (let round = 0; round < 2; round += 1) {
      tracker.expect(shape);
      for (const part of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
        expect(tracker.isComplete, `cut ${cut}`).toBe(false);
        tracker.push(part);
        if (cut === bytes.length) break;
      }
      expect([tracker.isComplete, tracker.status, tracker.errorCode], `cut ${cut}`).toEqual([true, status, error]);
    }
  }
});

test('byte by byte no answer is over before its last byte', () => {
  for (const { name, shape, capabilities, payloads } of answers) {
    const bytes = packets(payloads);
    const tracker = new AnswerTracker(capabilities);
    tracker.expect(shape);
    bytes.forEach((_, at) => {
      expect(tracker.isComplete, `${name} before byte ${at}`).toBe(false);
      tracker.push(bytes.subarray(at, at + 1));
    });
    expect(tracker.isComplete, name).toBe(true);
  }
});

test('a prepared statement is known by its id', () => {
  const tracker = new AnswerTracker(modern);
  tracker.expect('prepare');
  tracker.push(packets([writePrepareOk({ statementId: 0x01020304, columns: 0, parameters: 0, warnings: 0 })]));
  expect(tracker.statementId).toBe(0x01020304);
});

test('a wish for a file is no end; what comes behind the file is', () => {
  const tracker = new AnswerTracker(old);
  tracker.expect('result');
  tracker.push(packets([Buffer.from('\xfb/tmp/x', 'latin1')]));
  expect([tracker.wantsFile, tracker.isComplete]).toEqual([true, false]);
  tracker.fileSent();
  tracker.push(packets([writeOk({ status: autocommit }, old)], 4));
  expect([tracker.wantsFile, tracker.isComplete]).toEqual([false, true]);
});

test.each([old, modern])('a row of 16 MiB that begins with 0xfe ends nothing', (capabilities) => {
  const long = Buffer.concat([Buffer.of(EOF), Buffer.from([0, 0, 0, 1, 0, 0, 0, 0]), Buffer.alloc(2 ** 24)]);
  const bytes = packets([...rows(capabilities, autocommit).slice(0, -1), long, writeEnd(inTransaction, capabilities)]);
  const tracker = new AnswerTracker(capabilities);
  tracker.expect('result');
  const last = bytes.length - 3;
  for (let at = 0; at < last; at += 65_521) tracker.push(bytes.subarray(at, Math.min(at + 65_521, last)));
  expect(tracker.isComplete).toBe(false);
  tracker.push(bytes.subarray(last));
  expect([tracker.isComplete, tracker.status]).toEqual([true, inTransaction]);
});

test.each([0, 1, MAX_PACKET_BYTES - 1, MAX_PACKET_BYTES, MAX_PACKET_BYTES + 1, 2 * MAX_PACKET_BYTES])('a payload of %i bytes and back', (size) => {
  const payload = Buffer.alloc(size, 'ab');
  const written = writePackets(payload, 254);
  const read = readPayload(Buffer.concat([written, Buffer.of(9)]), 2 ** 26);
  expect(read).toMatchObject({ type: 'payload', length: written.length, sequence: (nextSequence(payload, 254) + 255) & 0xff });
  expect(read.type === 'payload' && read.payload.equals(payload)).toBe(true);
  expect(readPayload(written.subarray(0, -1), 2 ** 26).type).toBe('incomplete');
  if (size > 0) expect(readPayload(written, size - 1).type).toBe('too_large');
});

test('heads are the beginnings of payloads, however the stream is cut', () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (payloads, cuts) => {
    const heads: string[] = [];
    const scanner = new PacketScanner({ head: (bytes, start, end, length) => heads.push(`${length} ${bytes.toString('hex', start, end)}`) });
    const bytes = packets(payloads.map((payload) => Buffer.from(payload)));
    for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
      const size = cuts[turn % cuts.length] ?? 1;
      scanner.push(bytes.subarray(at, at + size));
      at += size;
    }
    expect(heads).toEqual(payloads.map((payload) => `${payload.length} ${Buffer.from(payload).toString('hex', 0, Math.min(24, payload.length))}`));
    expect(scanner.isBetween).toBe(true);
  }));
});
