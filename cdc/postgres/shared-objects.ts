/**
 * First in a transaction that makes what several tables need (a schema, a type, a collation), also when it is only a trial: IF NOT EXISTS does not
 * see what another transaction is about to make, and fails with 23505 once that has committed.
 *
 * A session hears of what others have made when it locks a relation that it has not locked yet, not when it gets an advisory lock.
 */
export const lockSharedObjectsSql = 'SELECT pg_advisory_xact_lock(4851143); SELECT FROM pg_catalog.pg_namespace LIMIT 0';
