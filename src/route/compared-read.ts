/** Which reads of the source are compared with local's answer (`read_from 'compare'`), and why others on the same tables are not. Pure. */
import type { StatementFacts } from '../../grammar/sql/statement-facts.ts';
import type { TextNeeds } from './needs.ts';
import type { ComparedRead, SessionContext } from './route.ts';

/**
 * For a text that runs on the source. Undefined when none of its tables is compared, when it changes anything, and in transactions and without
 * a lease: there is nothing to say of those. What reads a compared table otherwise gets an obstacle, so that it is counted.
 */
export function comparedRead(statements: readonly StatementFacts[], { needs, opaque }: TextNeeds, session: SessionContext): ComparedRead | undefined {
  const [facts] = statements;
  if (!session.leaseValid || session.transaction !== undefined || facts === undefined) return undefined;
  const compared = needs.filter((need) => need.role === 'read' && need.table?.compare !== undefined);
  if (compared.length === 0 || statements.some((statement) => statement.kind !== 'select' || statement.flags.lockingRead || statement.flags.writesInCte)) return undefined;
  // Its own name for the one table that it reads is that of the need, unless that is a view's.
  const only = compared.length === 1 && needs.length === 1 ? compared[0]?.table : undefined;
  const pinned = facts.pinned && only?.source.name === facts.pinned.relation.name ? { pinned: { table: only.source, columns: facts.pinned.columns } } : {};
  const elsewhere = needs.filter((need) => need.role !== 'read' || need.table?.compare === undefined).map((need) => need.name);
  return {
    percent: Math.max(...compared.map((need) => need.table?.compare ?? 0)),
    tables: compared.map((need) => need.name).toSorted(),
    obstacle: statements.length > 1 ? 'there are several statements in the text' : obstacleOf(facts, elsewhere, opaque),
    ordered: facts.flags.ordered, orderDependent: facts.flags.orderDependent, ...pinned,
  };
}

function obstacleOf(facts: StatementFacts, elsewhere: readonly string[], opaque: boolean): string | undefined {
  if (elsewhere.length > 0) return `it needs what is not compared: ${elsewhere.toSorted().join(', ')}`;
  if (opaque || facts.functions.length > 0) return `it calls ${facts.functions.join(', ')}, which may do anything`;
  if (facts.flags.sessionEffect || facts.flags.usesLastval) return 'it changes the session';
  if (facts.flags.unrepeatable) return 'its answer depends on the moment, the session or the server: now(), random(), ctid and their like';
  // Catalogs of two servers are not alike.
  if (facts.reads.some(({ schema }) => schema === 'pg_catalog' || schema === 'information_schema')) return 'it reads the system catalogs';
  return undefined;
}
