/** Which columns of MySQL may hold values that are too long for an entry of an index on local, so that a key over their first characters has to stay one. */

/** Of 8 kB pages, three entries of which have to fit into one. */
const LONGEST_BYTES = 2_600;

/** Bytes of the longest character, for lengths that MySQL counts in bytes. */
export function bytesPerCharacter(charset: string): number {
  if (['utf8mb4', 'utf16', 'utf16le', 'utf32', 'gb18030'].includes(charset)) return 4;
  if (['utf8mb3', 'utf8', 'ujis', 'eucjpms'].includes(charset)) return 3;
  return ['ucs2', 'gbk', 'gb2312', 'sjis', 'cp932', 'euckr', 'big5'].includes(charset) ? 2 : 1;
}

/** `type`: as MySQL names it, aliases resolved. */
export function isLongText({ type, length = 0, charset }: { readonly type: string; readonly length?: number | undefined; readonly charset: string | null }): boolean {
  if (/(?:text|blob)$/.test(type)) return !type.startsWith('tiny');
  if (type === 'char' || type === 'varchar') return length * bytesPerCharacter(charset ?? 'utf8mb4') > LONGEST_BYTES;
  return /^(?:var)?binary$|^vector$/.test(type) && length > LONGEST_BYTES;
}
