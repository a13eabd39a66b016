/** Builds messages from parts: https://www.postgresql.org/docs/current/protocol-message-types.html. Not for the hot path, which builds none. */

/** A string ends in a zero byte; its text may hold none, so one is cut there. */
export function cstring(text: string): Buffer {
  const zero = text.indexOf('\0');
  return Buffer.from(`${zero < 0 ? text : text.slice(0, zero)}\0`, 'utf8');
}

export function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export function int16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** One message: type byte, length, body. */
export function message(type: string, ...body: readonly Buffer[]): Buffer {
  const length = body.reduce((sum, part) => sum + part.length, 4);
  const header = Buffer.allocUnsafe(5);
  header.write(type, 0, 1, 'latin1');
  header.writeInt32BE(length, 1);
  return Buffer.concat([header, ...body], length + 1);
}

/** Index of the zero byte that ends the string at `start`; -1 when there is none before `end`. */
export function endOfString(buffer: Buffer, start: number, end: number): number {
  const zero = buffer.indexOf(0, start);
  return zero >= 0 && zero < end ? zero : -1;
}
