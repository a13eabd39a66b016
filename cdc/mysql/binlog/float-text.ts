/** FLOAT and DOUBLE as the shortest text that reads back to the same number. */

export function doubleText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

const SMALLEST_NORMAL = 2 ** -126;
/** So many digits survive on the way to a 4-byte number and back; below the normal numbers fewer do. */
const SAFE_DIGITS = 6;
const MOST_DIGITS = 9;

/** `value` is a 4-byte number. */
export function floatText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return doubleText(value);
  for (let digits = Math.abs(value) < SMALLEST_NORMAL ? 1 : SAFE_DIGITS; digits < MOST_DIGITS; digits += 1) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return String(rounded);
  }
  return String(Number(value.toPrecision(MOST_DIGITS)));
}
