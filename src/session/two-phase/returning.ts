/** The text of an INSERT, UPDATE or DELETE with a RETURNING behind it. Places that errors tell stay as they are in the client's text. */
import { quoteName } from '../../../grammar/names.ts';

/**
 * `relation`: what the statement calls its table. Undefined where the end of the statement cannot be seen at once: a comment may hold the semicolon,
 * or hide it.
 */
export function withReturning(text: string, relation: string, xidFunction: string): string | undefined {
  const hasComment = text.includes('--') || text.includes('/*');
  if (hasComment && text.includes(';')) return undefined;
  // On a line of its own, so that a comment at the end cannot swallow it.
  return `${hasComment ? text : text.replace(/[\s;]+$/, '')}\nRETURNING ${quoteName(relation)}.*, ${xidFunction}::pg_catalog.text`;
}
