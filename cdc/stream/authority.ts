/**
 * When a stream's captured side is the authority of a table (RULES 11): half-open intervals of positions. A transaction belongs to
 * (from, to] by its end, which lies behind its commit record: the record itself is at `from` or later, and before `to`.
 */
export interface AuthorityInterval {
  readonly from: bigint;
  /** Undefined while it is open. */
  readonly to: bigint | undefined;
}

export function isAuthoritative(intervals: readonly AuthorityInterval[], commitLsn: bigint): boolean {
  return intervals.some(({ from, to }) => commitLsn >= from && (to === undefined || commitLsn < to));
}

/** Opening an open table again changes nothing. */
export function openAt(intervals: readonly AuthorityInterval[], from: bigint): readonly AuthorityInterval[] {
  return intervals.some((interval) => interval.to === undefined || interval.to > from) ? intervals : [...intervals, { from, to: undefined }];
}

export function closeAt(intervals: readonly AuthorityInterval[], to: bigint): readonly AuthorityInterval[] {
  return intervals.map((interval) => (interval.to === undefined && interval.from <= to ? { from: interval.from, to } : interval));
}

/** Whether a transaction was visible in the snapshot `xmin:xmax:xip,…` (64-bit ids); the id comes without its epoch. */
export function sawTransaction(snapshot: string, transactionId: number): boolean {
  const [xminText = '0', xmaxText = '0', running = ''] = snapshot.split(':');
  const xmax = BigInt(xmaxText);
  const half = 0x8000_0000n;
  let whole = (xmax & ~0xffff_ffffn) | BigInt(transactionId);
  if (whole > xmax + half) whole -= 0x1_0000_0000n;
  else if (whole + half < xmax) whole += 0x1_0000_0000n;
  if (whole < BigInt(xminText)) return true;
  return whole < xmax && !running.split(',').includes(String(whole));
}
