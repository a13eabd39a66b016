/** A copy that may be kept for hours: in memory of its own, as Node cuts other small buffers from a stock of 64 KB that each of them keeps. */
export function ownCopy(part: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(part.length);
  part.copy(copy);
  return copy;
}
