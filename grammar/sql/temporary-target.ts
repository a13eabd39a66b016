import { rangeVarRef } from './facts-collector.ts';
import type { RelationRef } from './statement-facts.ts';
import type { Tree } from './tree.ts';

/** The new relation of a CREATE when it is temporary (by TEMP or by the schema `pg_temp`); its schema is always given as `pg_temp`. */
export function temporaryTarget(target: Tree): RelationRef | undefined {
  const relation = rangeVarRef(target);
  if (relation === undefined) return undefined;
  return target['relpersistence'] === 't' || relation.schema === 'pg_temp' ? { schema: 'pg_temp', name: relation.name } : undefined;
}
