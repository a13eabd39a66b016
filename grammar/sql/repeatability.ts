/** Whether the same rows give the same answer again, on another server too: what comparing the answers of two databases has to know of a statement. */
import type { FactsCollector } from './facts-collector.ts';
import { listOf, nameParts, nodeOf, stringOf, treeOf, unwrap } from './tree.ts';
import type { Tree } from './tree.ts';

/** Pure for routing (`pure-functions.ts`), but of the moment, the session or the server. */
const unrepeatable: ReadonlySet<string> = new Set(`
now clock_timestamp statement_timestamp transaction_timestamp timeofday random random_normal gen_random_uuid uuidv4 uuidv7 array_sample array_shuffle
current_setting version unicode_version icu_unicode_version current_query current_database getdatabaseencoding row_security_active col_description obj_description
shobj_description format_type currtid2 uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 gen_salt gen_random_bytes pgp_sym_encrypt pgp_pub_encrypt
`.trim().split(/\s+/));
const unrepeatableFamilies = /^(?:pg_|has_|txid_|to_reg|inet_(?:client|server)_|lo_|ts_stat)/;

/** Give another value when their rows come in another order. */
const orderDependent: ReadonlySet<string> = new Set(`
array_agg string_agg json_agg json_agg_strict jsonb_agg jsonb_agg_strict json_object_agg json_object_agg_strict jsonb_object_agg jsonb_object_agg_strict xmlagg any_value mode
`.trim().split(/\s+/));
const orderDependentOver: ReadonlySet<string> = new Set(['row_number', 'ntile', 'lag', 'lead', 'first_value', 'last_value', 'nth_value']);

const systemColumns: ReadonlySet<string> = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid', 'oid']);
/** Names of types whose values are numbers of objects. */
const isObjectType = /^(?:oid|reg[a-z]+|xid8?|tid|cid|pg_lsn)$/;

/** Looks at the node itself; what is in it is walked by the caller. */
export function collectRepeatability(name: string, node: Tree, into: FactsCollector): void {
  switch (name) {
    case 'FuncCall': return collectCall(node, into);
    // CURRENT_TIMESTAMP and its like, CURRENT_USER, CURRENT_CATALOG.
    case 'SQLValueFunction': case 'RangeTableSample': return into.raise('unrepeatable');
    case 'ColumnRef': {
      const column = stringOf(nodeOf(listOf(node['fields']).at(-1), 'String')?.['sval']);
      if (column !== undefined && systemColumns.has(column)) into.raise('unrepeatable');
      return;
    }
    case 'TypeCast': {
      const type = nameParts(treeOf(node['typeName'])?.['names'])?.at(-1) ?? '';
      if (isObjectType.test(type)) into.raise('unrepeatable');
      return;
    }
    default:
  }
}

/** Of one SELECT, those in it left out. */
export function dependsOnOrder(select: Tree): boolean {
  if (select['limitCount'] !== undefined || select['limitOffset'] !== undefined) return true;
  // A plain DISTINCT is a list with an empty node.
  return listOf(select['distinctClause']).some((item) => unwrap(item) !== undefined);
}

function collectCall(call: Tree, into: FactsCollector): void {
  const name = nameParts(call['funcname'])?.at(-1) ?? '';
  // `age(x)` counts from today.
  if (unrepeatable.has(name) || unrepeatableFamilies.test(name) || (name === 'age' && listOf(call['args']).length === 1)) into.raise('unrepeatable');
  if (orderDependent.has(name) && call['agg_order'] === undefined) into.raise('orderDependent');
  if (call['over'] !== undefined && orderDependentOver.has(name)) into.raise('orderDependent');
}
