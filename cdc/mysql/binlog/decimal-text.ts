/**
 * DECIMAL as the binlog has it: nine digits in four bytes, big endian, fewer digits in fewer bytes, the sign in the first bit, all bits turned
 * around when negative. https://dev.mysql.com/doc/dev/mysql-server/latest/decimal_8cc.html (decimal2bin)
 */
import type { Cursor } from './cursor.ts';

const DIGITS = 9;
/** Digits left over → bytes. */
const bytesOf = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;

export function decimalReader(precision: number, scale: number): (cursor: Cursor) => string {
  const whole = precision - scale;
  const wholeWords = Math.floor(whole / DIGITS);
  const wholeRest = whole % DIGITS;
  const scaleWords = Math.floor(scale / DIGITS);
  const scaleRest = scale % DIGITS;
  const bytes = sizeOf(wholeRest) + wholeWords * 4 + scaleWords * 4 + sizeOf(scaleRest);
  return (cursor) => {
    const { buffer } = cursor;
    let at = cursor.skip(bytes);
    const isNegative = ((buffer[at] ?? 0) & 0x80) === 0;
    // In one group the value is read with the sign's bit taken away: turned around, it is set when positive.
    let first = true;
    const group = (size: number): number => {
      let value = buffer.readUIntBE(at, size);
      at += size;
      const all = 2 ** (size * 8) - 1;
      if (isNegative) value = all - value;
      if (first) value -= value >= 2 ** (size * 8 - 1) ? 2 ** (size * 8 - 1) : 0;
      first = false;
      return value;
    };
    let digits = '';
    if (wholeRest > 0) digits += group(sizeOf(wholeRest));
    for (let left = wholeWords; left > 0; left -= 1) digits += padded(group(4), DIGITS);
    let text = digits.replace(/^0+(?=\d)/, '') || '0';
    if (scale > 0) {
      text += '.';
      for (let left = scaleWords; left > 0; left -= 1) text += padded(group(4), DIGITS);
      if (scaleRest > 0) text += padded(group(sizeOf(scaleRest)), scaleRest);
    }
    return isNegative ? `-${text}` : text;
  };
}

export function sizeOf(digits: number): number {
  return bytesOf[digits] ?? 0;
}

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}
