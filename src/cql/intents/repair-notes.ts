/** Writes that must not be sent again, into the repair list, with the texts and tables that they are about. */
import type { CqlStatement } from '../../../grammar/cql/statement.ts';
import type { Intent } from './intent-log.ts';
import { textsOf } from './intent-texts.ts';
import type { RepairList, RepairReason } from './repair-list.ts';

export class RepairNotes {
  readonly #list: RepairList;
  readonly #read: (text: string) => CqlStatement;
  readonly #nowMs: (() => number) | undefined;

  /** Without a clock what is noted is taken for later than every scan. */
  constructor(list: RepairList, read: (text: string) => CqlStatement, nowMs?: () => number) {
    this.#list = list;
    this.#read = read;
    this.#nowMs = nowMs;
  }

  /** Resolves when it is on disk; rejects when the disk refuses. */
  note(reason: RepairReason, intent: Omit<Intent, 'ticket' | 'order'>, message: string): Promise<void> {
    const { texts, tables } = textsOf(intent, this.#read);
    return this.#list.add({
      atMs: intent.atMs, ...(this.#nowMs ? { notedAtMs: this.#nowMs() } : {}), reason, owes: intent.owes, tables, keyspace: intent.origin.keyspace, opcode: intent.opcode, version: intent.origin.version,
      texts, body: intent.body.toString('base64'), message: message.slice(0, 1000),
    });
  }
}
