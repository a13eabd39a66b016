/** Names inside string literals, as `regclass` and the sequence functions read them. */
import { foldName, truncateName } from '../names.ts';

/**
 * Splits a text such as `public."My Seq"` at its dots; bare parts are folded, spaces around parts do not count.
 * Undefined when the server would refuse it too, or when it is an OID.
 * https://www.postgresql.org/docs/current/datatype-oid.html
 */
export function splitQualifiedName(text: string): readonly string[] | undefined {
  return /^\s*\d+\s*$/.test(text) ? undefined : splitNames(text, '.');
}

/** A `search_path` value as SHOW prints it and SET with one string gives it; undefined when it cannot be read. An empty text is an empty list. */
export function splitNameList(text: string): readonly string[] | undefined {
  return text.trim() === '' ? [] : splitNames(text, ',');
}

const part = /\s*(?:"((?:[^"]|"")*)"|([^\s",.]+))\s*/y;
const listPart = /\s*(?:"((?:[^"]|"")*)"|([^\s",]+))\s*/y;

function splitNames(text: string, separator: '.' | ','): readonly string[] | undefined {
  const names: string[] = [];
  const pattern = new RegExp(separator === '.' ? part : listPart);
  let offset = 0;
  for (;;) {
    pattern.lastIndex = offset;
    const match = pattern.exec(text);
    if (match === null) return undefined;
    names.push(match[1] === undefined ? foldName(match[2] ?? '') : truncateName(match[1].replaceAll('""', '"')));
    offset = pattern.lastIndex;
    if (offset === text.length) return names;
    if (text[offset] !== separator) return undefined;
    offset += 1;
  }
}
