/** LZ4 blocks and Snappy, as the protocol uses them: LZ4 with the raw length in four bytes in front. Small and plain, but with real matches, so that a reader of them is tested. */

export type Compression = 'lz4' | 'snappy';

export function compress(kind: Compression, body: Buffer): Buffer {
  if (kind === 'snappy') return snappyCompress(body);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, lz4Compress(body)]);
}

export function decompress(kind: Compression, body: Buffer): Buffer {
  return kind === 'snappy' ? snappyDecompress(body) : lz4Decompress(body.subarray(4), body.readUInt32BE(0));
}

interface Match { readonly at: number; readonly length: number; readonly distance: number }

/** Matches of four bytes or more, none within the last `tail` bytes. */
function* matches(body: Buffer, tail: number): Generator<Match> {
  const seen = new Map<number, number>();
  for (let at = 0; at + 4 <= body.length - tail;) {
    const word = body.readUInt32LE(at);
    const before = seen.get(word);
    seen.set(word, at);
    if (before === undefined || at - before > 0xffff) {
      at += 1;
      continue;
    }
    let length = 4;
    while (at + length < body.length - tail && body[before + length] === body[at + length]) length += 1;
    yield { at, length, distance: at - before };
    at += length;
  }
}

function lz4Compress(body: Buffer): Buffer {
  const out: number[] = [];
  let from = 0;
  const sequence = (to: number, match?: Match): void => {
    const literals = to - from;
    const more = match ? match.length - 4 : 0;
    out.push((Math.min(literals, 15) << 4) | Math.min(more, 15));
    extra(literals);
    for (let at = from; at < to; at += 1) out.push(body[at] ?? 0);
    if (!match) return;
    out.push(match.distance & 255, match.distance >> 8);
    extra(more);
    from = to + match.length;
  };
  const extra = (length: number): void => {
    if (length < 15) return;
    let rest = length - 15;
    for (; rest >= 255; rest -= 255) out.push(255);
    out.push(rest);
  };
  // The format's end: the last five bytes are literals, and the last match begins twelve bytes before the end.
  for (const match of matches(body, 12)) sequence(match.at, match);
  sequence(body.length);
  return Buffer.from(out);
}

function lz4Decompress(block: Buffer, length: number): Buffer {
  const out = Buffer.alloc(length);
  let to = 0;
  let at = 0;
  const more = (first: number): number => {
    let sum = first;
    if (first === 15) {
      for (let byte = 255; byte === 255;) {
        byte = block.readUInt8(at);
        at += 1;
        sum += byte;
      }
    }
    return sum;
  };
  while (at < block.length) {
    const token = block.readUInt8(at);
    at += 1;
    const literals = more(token >> 4);
    block.copy(out, to, at, at + literals);
    at += literals;
    to += literals;
    if (at >= block.length) break;
    const distance = block.readUInt16LE(at);
    at += 2;
    const size = more(token & 15) + 4;
    if (distance === 0 || distance > to) throw new RangeError('LZ4: a match before the beginning');
    for (let index = 0; index < size; index += 1, to += 1) out[to] = out[to - distance] ?? 0;
  }
  if (to !== length) throw new RangeError(`LZ4: ${to} bytes instead of ${length}`);
  return out;
}

function snappyCompress(body: Buffer): Buffer {
  const out: number[] = [];
  for (let rest = body.length; ;) {
    out.push(rest > 127 ? (rest & 127) | 128 : rest);
    rest >>>= 7;
    if (rest === 0) break;
  }
  let from = 0;
  const literal = (to: number): void => {
    while (from < to) {
      const size = Math.min(to - from, 60);
      out.push((size - 1) << 2);
      for (let index = 0; index < size; index += 1) out.push(body[from + index] ?? 0);
      from += size;
    }
  };
  for (const { at, length, distance } of matches(body, 0)) {
    literal(at);
    for (let rest = length; rest > 0;) {
      const size = Math.min(rest, 64);
      out.push(((size - 1) << 2) | 2, distance & 255, distance >> 8);
      rest -= size;
    }
    from = at + length;
  }
  literal(body.length);
  return Buffer.from(out);
}

function snappyDecompress(block: Buffer): Buffer {
  let at = 0;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = block.readUInt8(at);
    at += 1;
    length |= (byte & 127) << shift;
    if (byte < 128) break;
  }
  const out = Buffer.alloc(length);
  let to = 0;
  while (at < block.length) {
    const tag = block.readUInt8(at);
    at += 1;
    if ((tag & 3) === 0) {
      let size = (tag >> 2) + 1;
      if (size > 60) {
        const bytes = size - 60;
        size = block.readUIntLE(at, bytes) + 1;
        at += bytes;
      }
      block.copy(out, to, at, at + size);
      at += size;
      to += size;
      continue;
    }
    const width = (tag & 3) === 1 ? 1 : (tag & 3) === 2 ? 2 : 4;
    const distance = width === 1 ? ((tag >> 5) << 8) | block.readUInt8(at) : block.readUIntLE(at, width);
    const size = width === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    at += width;
    if (distance === 0 || distance > to) throw new RangeError('Snappy: a copy before the beginning');
    for (let index = 0; index < size; index += 1, to += 1) out[to] = out[to - distance] ?? 0;
  }
  if (to !== length) throw new RangeError(`Snappy: ${to} bytes instead of ${length}`);
  return out;
}
