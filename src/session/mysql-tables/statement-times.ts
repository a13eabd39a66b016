/** The moments that a statement sees: PostgreSQL's clock stands still in a transaction. */
import type { StepValues } from '../../../grammar/dialect/mysql/translation.ts';
import type { OpenTransaction } from '../../execute/open-transaction.ts';

/** `now`: milliseconds since 1970; `block`: the client's, and the monotonic time of now. */
export function statementTimes(now: number, block: { readonly tx: OpenTransaction; readonly nowMs: number } | undefined, timeZone: string): Pick<StepValues, 'transactionTime' | 'statementTime' | 'transactionDate'> {
  const statement = new Date(now);
  const begun = block === undefined ? statement : (block.tx.startedAt ??= new Date(now - (block.nowMs - block.tx.startedAtMs)));
  return { statementTime: momentOf(statement), transactionTime: momentOf(begun), transactionDate: dateIn(begun, timeZone) };
}

function momentOf(date: Date): string {
  const iso = date.toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 23)}000`;
}

/** A zone that only PostgreSQL knows has UTC's date here: where it counts, the translation refuses all zones but that. */
function dateIn(date: Date, timeZone: string): string {
  if (timeZone === 'UTC') return date.toISOString().slice(0, 10);
  try {
    return new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(date);
  } catch {
    return date.toISOString().slice(0, 10);
  }
}
