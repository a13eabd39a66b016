import * as net from 'node:net';

/** Address as 4 or 16 bytes. */
export function inetBytes(address: string): Buffer {
  const plain = address.startsWith('::ffff:') && net.isIPv4(address.slice(7)) ? address.slice(7) : address;
  if (net.isIPv4(plain)) return Buffer.from(plain.split('.').map(Number));
  const [head = '', tail] = plain.replace(/%.*$/, '').split('::');
  const words = (part: string): number[] => (part === '' ? [] : part.split(':').flatMap((word) => {
    if (!word.includes('.')) return [parseInt(word, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = word.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  }));
  const first = words(head);
  const last = tail === undefined ? [] : words(tail);
  const all = tail === undefined ? first : [...first, ...Array.from({ length: Math.max(0, 8 - first.length - last.length) }, () => 0), ...last];
  const bytes = Buffer.alloc(16);
  all.slice(0, 8).forEach((word, index) => bytes.writeUInt16BE(word & 0xffff, index * 2));
  return bytes;
}
