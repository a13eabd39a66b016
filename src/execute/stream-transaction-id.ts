/** Transaction ids in the change stream have 32 bits, `pg_current_xact_id` has 64. */
const XID_MASK = 0xffffffffn;

export function streamTransactionId(xid: string): number {
  return Number(BigInt(xid) & XID_MASK);
}
