/** Two answers to one statement: alike or not, and where not, an example. Pure. */
import type { AnswerDigest } from './answer-digest.ts';

export type Likeness = 'same' | 'same_in_other_order' | 'different';

/** Answers that are complete, or errors. Errors are alike when their SQLSTATEs are. */
export function likeness(one: AnswerDigest, other: AnswerDigest): Likeness {
  if (one.end === 'failed' || other.end === 'failed') return one.end === other.end && one.error?.sqlstate === other.error?.sqlstate ? 'same' : 'different';
  if (one.end !== 'complete' || other.end !== 'complete') return 'different';
  if (one.columns !== undefined && other.columns !== undefined && one.columns !== other.columns) return 'different';
  if (one.anyOrder !== other.anyOrder) return 'different';
  return one.inOrder === other.inOrder ? 'same' : 'same_in_other_order';
}

const MAX_ROW_CHARACTERS = 200;

/** The first row that only the source has, and the first that only local has, of answers in text whose rows were kept. */
export function exampleOf(source: AnswerDigest, local: AnswerDigest): string {
  if (source.columns !== local.columns && source.columns !== undefined && local.columns !== undefined) return shorten(`columns on the source: ${source.columns}; on local: ${local.columns}`, 2 * MAX_ROW_CHARACTERS);
  const counts = source.rows === local.rows ? '' : `; ${source.rows} and ${local.rows} rows`;
  return `only on the source: ${firstBeyond(source, local)}; only on local: ${firstBeyond(local, source)}${counts}`;
}

function firstBeyond(of: AnswerDigest, other: AnswerDigest): string {
  const left = new Map<string, number>();
  for (const row of other.kept ?? []) {
    const key = row.toString('latin1');
    left.set(key, (left.get(key) ?? 0) + 1);
  }
  for (const row of of.kept ?? []) {
    const key = row.toString('latin1');
    const count = left.get(key) ?? 0;
    if (count === 0) return rowText(row);
    left.set(key, count - 1);
  }
  return 'none';
}

/** `(1, NULL, text)`, of a DataRow's body. */
function rowText(row: Buffer): string {
  const values: string[] = [];
  let at = 2;
  for (let index = row.readUInt16BE(0); index > 0; index--) {
    const length = row.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? 'NULL' : row.toString('utf8', at, Math.min(at + length, at + MAX_ROW_CHARACTERS)));
    at += Math.max(length, 0);
  }
  return shorten(`(${values.join(', ')})`, MAX_ROW_CHARACTERS);
}

export function shorten(text: string, characters: number): string {
  return text.length <= characters ? text : `${text.slice(0, characters - 1)}…`;
}
