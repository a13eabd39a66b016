import type { SessionContext } from '../../src/route/route.ts';
import { autocommit, inTransaction } from './routing-examples.ts';

/** The session that a row of docs/routing.md names, such as `READ COMMITTED, wrote on the source`. */
export function sessionOf(words: string): SessionContext {
  if (words === 'autocommit') return autocommit;
  const parts = words.split(', ');
  const has = (part: string): boolean => parts.includes(part);
  const session = inTransaction({
    isolation: has('REPEATABLE READ') ? 'repeatable read' : has('SERIALIZABLE') ? 'serializable' : 'read committed',
    readOnly: has('READ ONLY'), holdsLocks: has('holds locks'),
    wroteOn: has('wrote on the source') ? 'source' : has('wrote on local') ? 'local' : undefined,
    usedLegs: { source: has('used the source') || has('wrote on the source'), local: has('used local') || has('wrote on local') },
  });
  return { ...session, transaction: words === 'no lease' ? undefined : session.transaction, leaseValid: !has('no lease') };
}
