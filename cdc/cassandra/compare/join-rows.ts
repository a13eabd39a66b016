/**
 * The rows of one token range on both sides, read once each and put side by side.
 *
 * Both clusters give rows by token, then by the bytes of the partition key, then by the clustering columns. Tokens are numbers and are compared. Within a token no
 * order of values has to be known: it is the same on both sides, so when a row is found on both, what either side gave before it and the other has not given by then it does not have.
 * Rows that wait for their like are bounded: too many are given out as missing, and reading them again by key tells whether they are.
 */
import type { TableRow } from '../row-reader.ts';

export interface RowPair {
  readonly source: TableRow | undefined;
  readonly target: TableRow | undefined;
}

export const MOST_WAITING = 20_000;

export async function* joinRows(sourcePages: AsyncIterator<readonly TableRow[]>, targetPages: AsyncIterator<readonly TableRow[]>, mostWaiting = MOST_WAITING): AsyncGenerator<RowPair, void, void> {
  const source = new RowCursor(sourcePages);
  const target = new RowCursor(targetPages);
  for (;;) {
    const ours = source.current ?? await source.load();
    const theirs = target.current ?? await target.load();
    if (ours === undefined && theirs === undefined) return;
    if (theirs === undefined || (ours !== undefined && ours.token < theirs.token)) {
      yield { source: ours, target: undefined };
      source.advance();
    } else if (ours === undefined || theirs.token < ours.token) {
      yield { source: undefined, target: theirs };
      target.advance();
    } else yield* joinToken(source, target, ours.token, mostWaiting);
  }
}

async function* joinToken(source: RowCursor, target: RowCursor, token: bigint, mostWaiting: number): AsyncGenerator<RowPair, void, void> {
  const waiting = { source: new Map<string, TableRow>(), target: new Map<string, TableRow>() };
  const sides = [{ cursor: source, own: waiting.source, other: waiting.target, isSource: true }, { cursor: target, own: waiting.target, other: waiting.source, isSource: false }];
  for (let isOver = false; !isOver;) {
    isOver = true;
    for (const { cursor, own, other, isSource } of sides) {
      const row = cursor.current ?? await cursor.load();
      if (row?.token !== token) continue;
      isOver = false;
      cursor.advance();
      const key = keyOf(row);
      const like = other.get(key);
      if (like === undefined) {
        own.set(key, row);
        continue;
      }
      for (const lone of own.values()) yield pair(lone, undefined, isSource);
      own.clear();
      for (const [name, lone] of other) {
        other.delete(name);
        if (name === key) break;
        yield pair(undefined, lone, isSource);
      }
      yield pair(row, like, isSource);
    }
    if (waiting.source.size + waiting.target.size > mostWaiting) yield* giveUp(waiting);
  }
  yield* giveUp(waiting);
}

function* giveUp({ source, target }: { readonly source: Map<string, TableRow>; readonly target: Map<string, TableRow> }): Generator<RowPair, void, void> {
  for (const row of source.values()) yield { source: row, target: undefined };
  for (const row of target.values()) yield { source: undefined, target: row };
  source.clear();
  target.clear();
}

function pair(own: TableRow | undefined, other: TableRow | undefined, isSource: boolean): RowPair {
  return isSource ? { source: own, target: other } : { source: other, target: own };
}

/** Each value with its length before it: no two keys have the same. */
export function keyOf({ partitionKey, clustering }: Pick<TableRow, 'partitionKey' | 'clustering'>): string {
  return [...partitionKey, ...clustering].map((bytes) => `${bytes.length}:${bytes.toString('latin1')}`).join('');
}

class RowCursor {
  readonly #pages: AsyncIterator<readonly TableRow[]>;
  #page: readonly TableRow[] = [];
  #at = 0;

  constructor(pages: AsyncIterator<readonly TableRow[]>) {
    this.#pages = pages;
  }

  /** Undefined when the page has come to its end. */
  get current(): TableRow | undefined {
    return this.#page[this.#at];
  }

  advance(): void {
    this.#at += 1;
  }

  /** The first row of the next page; undefined at the end of the range. */
  async load(): Promise<TableRow | undefined> {
    while (this.#at >= this.#page.length) {
      const next = await this.#pages.next();
      if (next.done === true) return undefined;
      this.#page = next.value;
      this.#at = 0;
    }
    return this.current;
  }
}
