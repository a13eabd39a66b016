/**
 * The partitioner of Cassandra and ScyllaDB: a partition key's token is the first half of MurmurHash3 (x64, 128 bits, seed 0) as
 * a signed number, with one oddity of Cassandra's that is a part of the format now: the bytes behind the last whole block of 16
 * are taken as signed.
 */

const mask = 0xffff_ffff_ffff_ffffn;
const c1 = 0x87c3_7b91_1142_53d5n;
const c2 = 0x4cf5_ad43_2745_937fn;

/** The ring's first place, which no key has: its keys are at the last one. */
export const minToken = -(2n ** 63n);
export const maxToken = 2n ** 63n - 1n;

/** The bytes that are hashed: a key of one column is its value; of several, each value with its length in front and a zero behind. */
export function partitionKeyBytes(values: readonly Uint8Array[]): Uint8Array {
  const [only] = values;
  if (only !== undefined && values.length === 1) return only;
  const bytes = new Uint8Array(values.reduce((sum, { length }) => sum + length + 3, 0));
  let at = 0;
  for (const value of values) {
    if (value.length > 0xffff) throw new RangeError('a column of a composite partition key has at most 65535 bytes');
    bytes[at] = value.length >> 8;
    bytes[at + 1] = value.length & 0xff;
    bytes.set(value, at + 2);
    at += value.length + 3;
  }
  return bytes;
}

export function murmur3Token(key: Uint8Array): bigint {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const blocks = key.length >> 4;
  let h1 = 0n;
  let h2 = 0n;
  for (let block = 0; block < blocks; block += 1) {
    h1 ^= mixFirst(view.getBigUint64(block * 16, true));
    h1 = ((rotate(h1, 27n) + h2) * 5n + 0x52dc_e729n) & mask;
    h2 ^= mixSecond(view.getBigUint64(block * 16 + 8, true));
    h2 = ((rotate(h2, 31n) + h1) * 5n + 0x3849_5ab5n) & mask;
  }
  const rest = key.length & 15;
  if (rest > 8) h2 ^= mixSecond(tail(view, blocks * 16 + 8, key.length));
  if (rest > 0) h1 ^= mixFirst(tail(view, blocks * 16, Math.min(key.length, blocks * 16 + 8)));
  h1 ^= BigInt(key.length);
  h2 ^= BigInt(key.length);
  h1 = (h1 + h2) & mask;
  h2 = (h2 + h1) & mask;
  const token = BigInt.asIntN(64, finish(h1) + finish(h2));
  return token === minToken ? maxToken : token;
}

/** Up to eight bytes, the first lowest, each with its sign. */
function tail(view: DataView, from: number, to: number): bigint {
  let value = 0n;
  for (let at = from; at < to; at += 1) value ^= BigInt(view.getInt8(at)) << BigInt((at - from) * 8);
  return value & mask;
}

function mixFirst(k: bigint): bigint {
  return (rotate((k * c1) & mask, 31n) * c2) & mask;
}

function mixSecond(k: bigint): bigint {
  return (rotate((k * c2) & mask, 33n) * c1) & mask;
}

function rotate(value: bigint, by: bigint): bigint {
  return ((value << by) | (value >> (64n - by))) & mask;
}

function finish(value: bigint): bigint {
  let k = value ^ (value >> 33n);
  k = (k * 0xff51_afd7_ed55_8ccdn) & mask;
  k ^= k >> 33n;
  k = (k * 0xc4ce_b9fe_1a85_ec53n) & mask;
  return k ^ (k >> 33n);
}
