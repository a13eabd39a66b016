/**
 * A text that is parsed in place of a large one: with a short constant of the same kind for each of its own, one row for equal rows of VALUES, and lists of
 * constants cut short. What makes a statement large is nearly always these; the tree of the whole text takes some fifty times its size.
 */
import { constantMarks, Fingerprinter } from './fingerprint.ts';

/** By the mark that the class has for it; apart from their neighbours. */
const standIns = new Map<number, string>([
  [constantMarks.string, " '' "], [constantMarks.integer, ' 1 '], [constantMarks.number, ' 1.5 '], [constantMarks.bits, " B'0' "], [constantMarks.hex, " X'0' "],
]);
const LAST_MARK = constantMarks.hex;
/** No list of fewer means anything by its length. */
const MAX_LIST = 2_000;
const COMMA = 0x2c;
const SPACE = 0x20;

/** Undefined where the text has no class, or a quoted name that could be taken for a mark. */
export function withoutConstants(text: string): string | undefined {
  if (/[\x01-\x05]/.test(text)) return undefined;
  const bytes = Buffer.from(text);
  const textClass = new Fingerprinter().read(bytes, 0, bytes.length);
  if (textClass === undefined) return undefined;
  const shorter = Buffer.from(textClass, 'latin1');
  return shorter.toString('utf8', 0, cutLists(shorter)).replace(/[\x01-\x05]/g, (mark) => standIns.get(mark.charCodeAt(0)) ?? '');
}

/** Moves together, in its place, what is left without the later constants of long lists; returns its length. */
function cutLists(text: Buffer): number {
  let length = 0;
  /** Behind the last constant that was kept, and how many of its kind stand in a row there. */
  let kept = 0;
  let run = 0;
  let last = 0;
  let commas = 0;
  for (const byte of text) {
    text[length++] = byte;
    if (byte >= 1 && byte <= LAST_MARK) {
      run = byte === last && commas === 1 ? run + 1 : 1;
      if (run > MAX_LIST) length = kept;
      else kept = length;
      last = byte;
      commas = 0;
    } else if (byte === COMMA) commas += 1;
    else if (byte !== SPACE) last = 0;
  }
  return length;
}
