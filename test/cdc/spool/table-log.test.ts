// However a log's end is torn, opening it gives exactly the whole transactions before the tear, and writing goes on behind them.
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TableLog } from '../../../cdc/spool/table-log.ts';

let directory: string;
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-log-'));
});
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

const relation = Buffer.from('Rel');

function writeTransaction(log: TableLog, end: number, messages: readonly string[], flushWithin = false): void {
  log.beginTransaction();
  for (const message of messages) {
    log.append(relation, Buffer.from(message));
    if (flushWithin) log.flush();
  }
  log.endTransaction(BigInt(end));
}

function messagesOf(log: TableLog, offset = log.startOffset): string[] {
  const found: string[] = [];
  for (const { payload } of log.frames(offset)) {
    for (let at = 0; at < payload.length; at += 4 + payload.readUInt32BE(at)) {
      const message = payload.subarray(at + 4, at + 4 + payload.readUInt32BE(at)).toString();
      if (message !== 'Rel') found.push(message);
    }
  }
  return found;
}

test('frames come back in order, from any frame, across segments', () => {
  const log = TableLog.open(directory, 100);
  for (let n = 1; n <= 20; n += 1) {
    writeTransaction(log, n, [`a${n}`, `b${n}`]);
    log.flush();
  }
  const all = messagesOf(log);
  expect(all.length).toBe(40);
  const third = [...log.frames(log.startOffset)][2];
  expect(messagesOf(log, third?.offset)).toEqual(all.slice(4));
  log.dropBefore(third?.offset ?? 0);
  expect(messagesOf(log, third?.offset)).toEqual(all.slice(4));
  log.close();
  const again = TableLog.open(directory, 100);
  expect(again.lastEnd).toBe(20n);
  expect(messagesOf(again, third?.offset)).toEqual(all.slice(4));
  again.close();
});

test('torn at every byte, the whole transactions before the tear remain', () => {
  const log = TableLog.open(directory);
  const ends: number[] = [];
  for (let n = 1; n <= 4; n += 1) {
    writeTransaction(log, n, [`a${n}`, `b${n}`]);
    log.flush();
    ends.push(log.endOffset);
  }
  log.close();
  const file = path.join(directory, `${'0'.repeat(16)}.log`);
  const bytes = fs.readFileSync(file);
  for (let length = 0; length <= bytes.length; length += 1) {
    fs.writeFileSync(file, bytes.subarray(0, length));
    const torn = TableLog.open(directory);
    const kept = ends.filter((end) => end <= length).length;
    expect(torn.lastEnd).toBe(BigInt(kept));
    writeTransaction(torn, 99, ['new']);
    torn.flush();
    expect(messagesOf(torn)).toEqual([...Array.from({ length: kept }, (_, n) => [`a${n + 1}`, `b${n + 1}`]).flat(), 'new']);
    torn.close();
  }
});

test('a byte that changed ends the log before its frame', () => {
  const log = TableLog.open(directory);
  for (let n = 1; n <= 3; n += 1) {
    writeTransaction(log, n, [`a${n}`]);
    log.flush();
  }
  const [, second] = [...log.frames(0)];
  log.close();
  const file = path.join(directory, `${'0'.repeat(16)}.log`);
  const bytes = fs.readFileSync(file);
  bytes[(second?.nextOffset ?? 1) - 1] = (bytes[(second?.nextOffset ?? 1) - 1] ?? 0) ^ 1;
  fs.writeFileSync(file, bytes);
  const reopened = TableLog.open(directory);
  expect(messagesOf(reopened)).toEqual(['a1']);
  reopened.close();
});

test('the head of a transaction is cut, the transactions that were appended with it are not', () => {
  const log = TableLog.open(directory);
  writeTransaction(log, 1, ['a1']);
  log.beginTransaction();
  log.append(relation, Buffer.from('head'));
  log.flush();
  log.append(relation, Buffer.from('more'));
  log.flush();
  expect(messagesOf(log)).toEqual(['a1']);
  log.close();
  const again = TableLog.open(directory);
  expect(again.lastEnd).toBe(1n);
  expect(messagesOf(again)).toEqual(['a1']);
  writeTransaction(again, 2, ['x', 'y', 'z'], true);
  again.flush();
  writeTransaction(again, 3, ['a3']);
  again.flush();
  expect(messagesOf(again)).toEqual(['a1', 'x', 'y', 'z', 'a3']);
  again.close();
});

test('the rest of a transaction with several relations begins with the one that its first change is of', () => {
  const log = TableLog.open(directory);
  const [relationA, relationB] = [Buffer.from('A'), Buffer.from('B')];
  log.beginTransaction();
  for (const message of ['begin1', 'a1']) log.append(relationA, Buffer.from(message));
  log.endTransaction(1n);
  log.beginTransaction();
  for (const message of ['begin2', 'a2']) log.append(relationA, Buffer.from(message));
  for (const message of ['B', 'b2']) log.append(relationB, Buffer.from(message));
  log.flush();
  log.append(relationB, Buffer.from('commit2'));
  log.endTransaction(2n);
  log.flush();
  const second = [...log.frames(log.startOffset)][1];
  expect(messagesOf(log, second?.offset).slice(0, 3)).toEqual(['A', 'begin2', 'a2']);
  log.close();
});

test('what has been applied is given back whole, the last segment too; offsets and what follows stay', () => {
  const log = TableLog.open(directory);
  const big = 'x'.repeat(300_000);
  writeTransaction(log, 1, [big]);
  log.flush();
  const applied = log.endOffset;
  log.dropBefore(applied - 1);
  expect(log.bytes).toBeGreaterThan(300_000);
  log.dropBefore(applied);
  expect([log.bytes, log.startOffset, log.endOffset, log.wholeEndOffset]).toEqual([0, applied, applied, applied]);
  writeTransaction(log, 2, ['later']);
  log.flush();
  expect(messagesOf(log, applied)).toEqual(['later']);
  log.close();
  const again = TableLog.open(directory);
  expect([messagesOf(again, applied), again.startOffset, again.lastEnd]).toEqual([['later'], applied, 2n]);
  again.dropBefore(again.endOffset);
  again.close();
  expect(fs.readdirSync(directory).length).toBe(1);
});
