/** Puts the definitions of views in the place of their names, as the source has them: views whose tables are on both sides. */
import { quoteLiteral, quoteTableName } from '../../../grammar/names.ts';
import type { TableName } from '../../../grammar/names.ts';
import { renameRelations } from '../../../grammar/sql/rename-relations.ts';
import type { RenamedText } from '../../../grammar/sql/rename-relations.ts';
import type { QueryUses } from '../../../grammar/sql/relation-uses.ts';
import type { RelationRef } from '../../../grammar/sql/statement-facts.ts';
import { refusal } from './hybrid-work.ts';
import { isReplaceable } from './replaceable.ts';

type Row = readonly (string | null)[];

/**
 * Their queries with every name qualified, and whether somebody else's rights and policies decide what they show: a view reads its tables as its
 * owner, its definition in a statement reads them as the client.
 */
export function definitionsQuery(views: readonly TableName[], inBlock: boolean): string {
  const selects = views.map((view, index) => `SELECT '${index}', pg_catalog.pg_get_viewdef(c.oid), c.relkind::pg_catalog.text,
    (c.relowner <> (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) AND NOT coalesce('security_invoker=true' = ANY (c.reloptions) OR 'security_invoker=on' = ANY (c.reloptions), false)
      AND EXISTS (SELECT FROM pg_catalog.pg_rewrite w JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        JOIN pg_catalog.pg_class t ON t.oid = d.refobjid WHERE w.ev_class = c.oid AND t.relrowsecurity))::pg_catalog.text
    FROM pg_catalog.pg_class c WHERE c.oid = ${quoteLiteral(quoteTableName(view))}::pg_catalog.regclass`);
  const text = `SET LOCAL search_path TO pg_catalog; ${selects.join('; ')}`;
  return inBlock ? `SAVEPOINT causeway_views; ${text}; ROLLBACK TO SAVEPOINT causeway_views; RELEASE SAVEPOINT causeway_views` : text;
}

export interface ViewDefinition {
  readonly key: string;
  readonly query: string;
}

/** Throws a HybridRefusal for a view that cannot be looked through. */
export function readDefinitions(rows: readonly Row[], keys: readonly string[]): readonly ViewDefinition[] {
  return rows.flatMap(([index, query, kind, isOthers]): ViewDefinition[] => {
    const key = keys[Number(index)];
    if (key === undefined || index === null || index === undefined || query === null || query === undefined) return [];
    if (kind !== 'v') throw refusal('Stored rows of a materialised view are where it was refreshed', `It is ${key}, and the statement needs tables of the other side.`, 'Split the statement in two.');
    if (isOthers === 'true') throw refusal('A view over tables with row security cannot be looked through', `${key} shows what its owner may see, and its tables are on both sides.`, 'Make it WITH (security_invoker), query its tables, or cut the other tables over as well.');
    return [{ key, query: query.replace(/;\s*$/, '') }];
  });
}

/** The text with these views replaced wherever it reads them. */
export function replaceViews(text: RenamedText, uses: QueryUses, definitions: readonly ViewDefinition[], keyOf: (relation: RelationRef) => string | undefined): RenamedText {
  const queries = new Map(definitions.map(({ key, query }) => [key, Buffer.from(`(${query})`)]));
  const replaced = renameRelations(text.bytes, uses.places, (relation, kind, start) => {
    const key = kind === 'relation' || kind === 'column' ? keyOf(relation) : undefined;
    const query = key === undefined ? undefined : queries.get(key);
    if (!query) return undefined;
    if (kind === 'relation' && !isReplaceable(uses, text.bytes, start)) throw refusal('A view whose tables are on both sides cannot stand behind ONLY or TABLE, nor be taken whole under other names of its columns', `It is ${relation.name}.`, 'Write SELECT * FROM in place of TABLE, leave ONLY and * out, and leave its columns their names.');
    return { schema: 'causeway', name: `definition of ${key ?? ''}`, text: query };
  });
  if (!replaced) throw new Error('a statement over views in which none is named');
  return { ...replaced, earlier: text.edits.length === 0 ? undefined : text };
}
