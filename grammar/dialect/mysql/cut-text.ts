/** Texts that a server may make larger than it takes, and then cuts or takes for NULL: such a statement is followed by a look at its warnings. */

export function mayBeCut(sql: string): boolean {
  return /\b(?:CONCAT|CONCAT_WS|GROUP_CONCAT|REPEAT|LPAD|RPAD|REPLACE)\(|\bWITH RECURSIVE\b/.test(sql);
}
