/** What a move of the torture run is handed, and how it sends, reads and compares. */
import { setTimeout as delay } from 'node:timers/promises';
import { expectLines } from './torture-client.ts';
import type { SendMode, TortureClient } from './torture-client.ts';
import { logTables } from './torture-ledger.ts';
import type { Ledger } from './torture-ledger.ts';
import type { Random } from './torture-random.ts';

export interface Turn {
  readonly client: TortureClient;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly port: number;
  /** A text that no one else has. */
  token(): string;
}

export type Move = (turn: Turn) => Promise<void>;
export type Expected = string | RegExp;

export const marks = ['marks_source', 'marks_dual', 'marks_local'] as const;
/** Where the answers are certain: the table that changes sides has moves of its own. */
export const steadyLogs = logTables.filter((table) => table !== 'on_flip');

export const modeOf = (random: Random, bytes: number): SendMode => (random.chance(0.6) ? 'whole' : random.chance(0.7) || bytes > 2_000 ? 'split' : 'bytes');

/** Sends, perhaps badly, reads, perhaps late, and compares. */
export async function exchange({ client, random }: Turn, messages: readonly Buffer[], readies: number, expected: readonly Expected[]): Promise<void> {
  const bytes = Buffer.concat(messages);
  const isLate = random.chance(0.15);
  if (isLate) client.socket.pause();
  await client.send(bytes, modeOf(random, bytes.length), random);
  if (isLate) await delay(random.below(300));
  client.socket.resume();
  expectLines(client, await client.until(readies), expected);
}
