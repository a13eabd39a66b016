/** Which tables a request is about, for the moments in which something hangs on it: a table is held, or those in hand have to end. */
import { opcodes, messageStart } from '../wire/cql/frame.ts';
import { readBatch } from './batch-statement.ts';
import { ID_BYTES } from './prepared-registry.ts';
import type { ProxyContext } from './proxy-context.ts';
import type { Request } from './request.ts';
import { requestKinds } from './request-kinds.ts';
import { tablesOf } from './statement-traits.ts';
import type { ReadTexts } from './statement-traits.ts';

const none: readonly string[] = [];

/** `keyspace.table` of each; none for a frame that asks for nothing of a table. A RangeError for one that cannot be read. */
export function tablesOfFrame({ registry, texts, modes }: ProxyContext, buffer: Buffer, start: number, end: number, keyspace: string, version: number): readonly string[] {
  const messageAt = messageStart(buffer, start, end);
  switch (buffer.readUInt8(start + 4)) {
    case opcodes.execute: {
      const entry = buffer.readUInt16BE(messageAt) === ID_BYTES && messageAt + 2 + ID_BYTES <= end ? registry.findAt(buffer, messageAt + 2) : undefined;
      return entry ? tablesOf(entry.traits, entry.keyspace) : none;
    }
    case opcodes.query:
      return tablesOf(texts.read(textAt(buffer, messageAt, end)), keyspace);
    case opcodes.batch: {
      const batch = readBatch(buffer, messageAt, end, keyspace, modes, registry, texts, version);
      return 'parts' in batch ? batch.parts.map(({ keyspace: own, table }) => `${own}.${table}`) : none;
    }
    default:
      return none;
  }
}

/** A client's request in hand. Where its text names no keyspace, any table of that name is meant: the one that was in use is not kept. */
export function concerns(request: Request, table: string, texts: ReadTexts): boolean {
  const { entry, batch, frame, messageAt, end, opcode, kind } = request;
  if (kind === requestKinds.replay || kind === requestKinds.prepare) return false;
  if (entry) return tablesOf(entry.traits, entry.keyspace).includes(table);
  if (batch) return batch.parts.some(({ keyspace, table: name }) => `${keyspace}.${name}` === table);
  if (opcode !== opcodes.query) return true;
  return tablesOf(texts.read(textAt(frame, messageAt, end)), '').some((name) => name === table || (name.startsWith('.') && table.endsWith(name)));
}

function textAt(buffer: Buffer, messageAt: number, end: number): string {
  return buffer.toString('utf8', messageAt + 4, Math.min(end, messageAt + 4 + buffer.readInt32BE(messageAt)));
}
