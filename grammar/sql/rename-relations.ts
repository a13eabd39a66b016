/** A text with its relations named otherwise, and where a place of the new text was in the old one. Pure. */
import { quoteLiteral, quoteName, quoteTableName } from '../names.ts';
import type { NamePlace } from './name-places.ts';
import type { RelationRef } from './statement-facts.ts';

export interface OtherName {
  readonly schema: string;
  readonly name: string;
  /** Put in place of the name itself: a sub-select. */
  readonly text?: Buffer;
}

interface Edit {
  /** Bytes of the old text that were replaced, and how many there are in their place. */
  readonly start: number;
  readonly end: number;
  readonly length: number;
}

export interface RenamedText {
  readonly bytes: Buffer;
  /** A copy of the old text. */
  readonly before: Buffer;
  readonly edits: readonly Edit[];
  /** What made the old text, if it is itself one with relations named otherwise. */
  readonly earlier?: RenamedText | undefined;
  /** A name of the gateway's own in it that messages may tell, and the client's. */
  readonly own?: { readonly name: string; readonly was: string };
}

/** How names are written into the new text. */
export interface Spelling {
  table(name: OtherName): string;
  /** With the space in front. */
  alias(name: string): string;
}

const quoted: Spelling = { table: quoteTableName, alias: (name) => ` AS ${quoteName(name)}` };

/** `nameOf` gives the other name of what a relation's name stands for, undefined for what keeps its own. Undefined: nothing is named otherwise. */
export function renameRelations(
  text: Buffer, places: readonly NamePlace[], nameOf: (relation: RelationRef, kind: NamePlace['kind'], start: number) => OtherName | undefined, spelling: Spelling = quoted,
): RenamedText | undefined {
  const parts: Buffer[] = [];
  const edits: Edit[] = [];
  let copied = 0;
  const replace = (start: number, end: number, by: string | Buffer): void => {
    const bytes = typeof by === 'string' ? Buffer.from(by) : by;
    parts.push(text.subarray(copied, start), bytes);
    edits.push({ start, end, length: bytes.length });
    copied = end;
  };
  const names = places.map(({ relation, kind, start }) => nameOf(relation, kind, start));
  const usable = new Set(places.flatMap(({ kind, isAliased }, index) => (kind === 'relation' && !isAliased && names[index] ? [quoteTableName(names[index])] : [])));
  for (const [index, { kind, relation, start, end, aliasAt }] of places.entries()) {
    const other = start < copied ? undefined : names[index];
    // A column of what is not named in FROM is an error, and stays one.
    if (!other || (kind === 'column' && !usable.has(quoteTableName(other)))) continue;
    const written = spelling.table(other);
    // Behind an alias a schema has no place any more.
    if (kind === 'column') replace(start, end, other.name === relation.name ? `${quoteName(other.schema)}.` : '');
    else if (kind === 'literal') replace(start, end, quoteLiteral(written));
    else replace(start, end, other.text ?? written);
    // The rest of the statement goes on to use the name that it knows.
    if (kind === 'relation' && aliasAt !== undefined && other.name !== relation.name) replace(aliasAt, aliasAt, spelling.alias(relation.name));
  }
  if (edits.length === 0) return undefined;
  parts.push(text.subarray(copied));
  return { bytes: Buffer.concat(parts), before: Buffer.from(text), edits };
}

/** A part of a text as a text of its own. */
export function partOf(whole: Buffer, start: number, end: number): RenamedText {
  return { bytes: whole.subarray(start, end), before: whole, edits: [{ start: 0, end: start, length: 0 }] };
}

/** The text made of one that was itself made of another. */
export function madeOf(text: RenamedText, earlier: RenamedText): RenamedText {
  return { ...text, earlier: text.earlier ? madeOf(text.earlier, earlier) : earlier };
}

/** Both offsets in bytes; a place within what was put in is where that begins in the old text. */
export function placeBefore(edits: readonly Edit[], at: number): number {
  let shift = 0;
  for (const { start, end, length } of edits) {
    const from = start + shift;
    if (at < from) break;
    if (at < from + length) return start;
    shift += length - (end - start);
  }
  return at - shift;
}
