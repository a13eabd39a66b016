/** MariaDB's UUID, INET4 and INET6 from the bytes that it stores, as it prints them. */
import { formatUuid } from './gtid-set.ts';

/**
 * UUIDs of the versions before 6 are stored with their parts turned around, so that they sort by time: the variant is then where the version stands otherwise.
 * https://mariadb.com/kb/en/uuid-data-type/
 */
export function uuidText(stored: Buffer): string {
  const isSwapped = (stored[6] ?? 0) >= 0x80 && (stored[8] ?? 0) < 0x60;
  if (!isSwapped) return formatUuid(stored);
  return formatUuid(Buffer.concat([stored.subarray(12, 16), stored.subarray(10, 12), stored.subarray(8, 10), stored.subarray(6, 8), stored.subarray(0, 6)]));
}

export function inet4Text(stored: Buffer): string {
  return stored.join('.');
}

export function inet6Text(stored: Buffer): string {
  const words = Array.from({ length: 8 }, (_, index) => stored.readUInt16BE(index * 2));
  const isZeroUntil = (count: number): boolean => words.slice(0, count).every((word) => word === 0);
  // An embedded IPv4 address, compatible or mapped.
  if (isZeroUntil(6) && words[6] !== 0) return `::${inet4Text(stored.subarray(12))}`;
  if (isZeroUntil(5) && words[5] === 0xffff) return `::ffff:${inet4Text(stored.subarray(12))}`;
  const [start, length] = longestZeros(words);
  const text = (part: readonly number[]): string => part.map((word) => word.toString(16)).join(':');
  return length === 0 ? text(words) : `${text(words.slice(0, start))}::${text(words.slice(start + length))}`;
}

/** Start and length of the first of the longest runs of zero words; even a single one is left out. */
function longestZeros(words: readonly number[]): readonly [number, number] {
  let best: readonly [number, number] = [0, 0];
  for (let start = 0; start < words.length; start += 1) {
    let length = 0;
    while (words[start + length] === 0) length += 1;
    if (length > best[1]) best = [start, length];
  }
  return best;
}
