/** The text of an INSERT, UPDATE or DELETE with more in its RETURNING. Places that errors tell stay as they are in the client's text. */
import { quoteName } from '../../../grammar/names.ts';

/** The first of the columns that are put behind the client's own. */
export const XID_COLUMN = 'causeway two phase xid';

/**
 * `relation`: what the statement calls its table. Undefined where the end of the statement cannot be seen at once: a comment may hold the semicolon,
 * or hide it.
 */
export function withReturning(text: string, relation: string, hasReturning: boolean, xidFunction: string): string | undefined {
  const hasComment = text.includes('--') || text.includes('/*');
  if (hasComment && text.includes(';')) return undefined;
  // On a line of its own, so that a comment at the end cannot swallow it.
  return `${hasComment ? text : text.replace(/[\s;]+$/, '')}\n${hasReturning ? ',' : 'RETURNING'} ${xidFunction}::pg_catalog.text AS ${quoteName(XID_COLUMN)}, ${quoteName(relation)}.*`;
}
