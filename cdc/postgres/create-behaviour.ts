/**
 * Triggers with their functions, policies and views, carried to local so that it behaves as the source did once it is the authority.
 *
 * Only for tables that keep their names: bodies of functions and views name them. An ordinary trigger does not fire for the applier, which
 * writes in the replica role; one that the source has ENABLE ALWAYS or REPLICA is made ordinary, and listed.
 */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './quote.ts';
import { readJson, withQualifiedNames } from './read-json.ts';
import type { SchemaStep } from './create-schema.ts';
import type { TableDefinition } from './definition.ts';

export interface BehaviourPlan {
  /** In order: functions, triggers, policies, views (what a view reads before it). */
  readonly steps: readonly SchemaStep[];
  /** What is left to the operator, and why. */
  readonly skipped: readonly SkippedBehaviour[];
}

export interface SkippedBehaviour {
  readonly name: string;
  readonly reason: string;
}

/** `isOnLocal` answers for source names: a view is carried when every table under it is there under its own name. */
export async function planBehaviour(source: ClientBase, definition: TableDefinition, target: QualifiedName, isOnLocal: (table: QualifiedName) => boolean): Promise<BehaviourPlan> {
  const isRenamed = target.schema !== definition.schema || target.name !== definition.name;
  if (isRenamed) {
    const names = [...definition.triggers.map((each) => `trigger ${each.name}`), ...definition.policies.map((each) => `policy ${each.name}`), ...definition.views.map((each) => `view ${each.schema}.${each.name}`)];
    return { steps: [], skipped: names.map((name) => ({ name, reason: 'the table has another name on local' })) };
  }
  const views = await readViewSteps(source, definition, isOnLocal);
  return {
    steps: [...(await readFunctionSteps(source, definition)), ...definition.triggers.map((each) => triggerStep(definition, each)), ...policySteps(definition), ...views.steps],
    skipped: [...definition.triggers.filter((each) => each.enabled === 'A' || each.enabled === 'R').map((each) => ({ name: `trigger ${each.name}`, reason: 'made as an ordinary trigger: ALWAYS or REPLICA would fire for applied changes' })), ...views.skipped],
  };
}

async function readFunctionSteps(source: ClientBase, definition: TableDefinition): Promise<SchemaStep[]> {
  const functions = await withQualifiedNames(source, () => readJson<QualifiedName & { definition: string; isExtension: boolean }>(source, `
    SELECT DISTINCT ON (p.oid) n.nspname AS schema, p.proname AS name, pg_get_functiondef(p.oid) AS definition,
           EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e') AS "isExtension"
      FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE t.tgrelid = $1 AND NOT t.tgisinternal AND n.nspname NOT IN ('pg_catalog', 'causeway')`, [definition.oid]));
  return functions.filter((each) => !each.isExtension).map((each) => ({
    name: `function ${each.schema}.${each.name}`,
    done: `to_regprocedure(${quoteLiteral(`${quoteTable(each)}()`)}) IS NOT NULL`,
    // The body may name what local does not have yet.
    sql: [`CREATE SCHEMA IF NOT EXISTS ${quoteIdent(each.schema)}`, 'SET LOCAL check_function_bodies = off', each.definition],
  }));
}

function triggerStep(definition: TableDefinition, trigger: TableDefinition['triggers'][number]): SchemaStep {
  const table = quoteTable(definition);
  return {
    name: `trigger ${trigger.name}`,
    done: `EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass(${quoteLiteral(table)}) AND tgname = ${quoteLiteral(trigger.name)})`,
    sql: [trigger.definition, ...(trigger.enabled === 'D' ? [`ALTER TABLE ${table} DISABLE TRIGGER ${quoteIdent(trigger.name)}`] : [])],
  };
}

function policySteps(definition: TableDefinition): SchemaStep[] {
  const table = quoteTable(definition);
  const policies = definition.policies.map((policy): SchemaStep => ({
    name: `policy ${policy.name}`,
    done: `EXISTS (SELECT 1 FROM pg_policy WHERE polrelid = to_regclass(${quoteLiteral(table)}) AND polname = ${quoteLiteral(policy.name)})`,
    sql: [`CREATE POLICY ${quoteIdent(policy.name)} ON ${table} AS ${policy.permissive ? 'PERMISSIVE' : 'RESTRICTIVE'} FOR ${policy.command} TO ${policy.roles.map((role) => (role === 'public' ? 'PUBLIC' : quoteIdent(role))).join(', ')}${policy.using === null ? '' : ` USING (${policy.using})`}${policy.check === null ? '' : ` WITH CHECK (${policy.check})`}`],
  }));
  if (!definition.rowSecurity.enabled) return policies;
  const switched = `SELECT relrowsecurity AND relforcerowsecurity = ${definition.rowSecurity.forced} FROM pg_class WHERE oid = to_regclass(${quoteLiteral(table)})`;
  return [...policies, { name: 'row security', done: `(${switched})`, sql: [`ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`, ...(definition.rowSecurity.forced ? [`ALTER TABLE ${table} FORCE ROW LEVEL SECURITY`] : [])] }];
}

interface ViewRow extends QualifiedName {
  readonly kind: 'v' | 'm';
  readonly definition: string;
  readonly options: readonly string[];
  /** Every table and view under it, at any depth. */
  readonly under: readonly (QualifiedName & { readonly kind: string })[];
}

async function readViewSteps(source: ClientBase, definition: TableDefinition, isOnLocal: (table: QualifiedName) => boolean): Promise<BehaviourPlan> {
  const names = definition.views.map(quoteTable);
  const views = names.length === 0 ? [] : await withQualifiedNames(source, () => readJson<ViewRow>(source, `
    WITH RECURSIVE down(view, oid) AS (
      SELECT to_regclass(x)::oid, to_regclass(x)::oid FROM unnest($1::text[]) x
      UNION SELECT w.view, d.refobjid FROM down w JOIN pg_rewrite r ON r.ev_class = w.oid AND r.rulename = '_RETURN'
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class)
    SELECT n.nspname AS schema, v.relname AS name, v.relkind AS kind, pg_get_viewdef(v.oid) AS definition, coalesce(to_json(v.reloptions), '[]'::json) AS options,
           json_agg(json_build_object('schema', bn.nspname, 'name', b.relname, 'kind', b.relkind)) FILTER (WHERE b.oid <> v.oid) AS under
      FROM down w JOIN pg_class v ON v.oid = w.view JOIN pg_namespace n ON n.oid = v.relnamespace JOIN pg_class b ON b.oid = w.oid AND b.relkind IN ('r', 'p', 'v', 'm', 'f') JOIN pg_namespace bn ON bn.oid = b.relnamespace
     GROUP BY n.nspname, v.relname, v.relkind, v.oid, v.reloptions ORDER BY count(*), 1, 2`, [names]));
  const steps: SchemaStep[] = [];
  const skipped: SkippedBehaviour[] = [];
  for (const view of views) {
    const missing = view.under.filter((each) => each.kind !== 'v' && (each.kind === 'm' || !isOnLocal(each)));
    const name = `view ${view.schema}.${view.name}`;
    if (view.kind === 'm') skipped.push({ name, reason: 'a materialised view: create it on local and choose when to refresh it' });
    else if (missing.length > 0) skipped.push({ name, reason: `reads ${missing.map((each) => `${each.schema}.${each.name}`).join(', ')}, which local does not have` });
    else steps.push(viewStep(view, name));
  }
  return { steps, skipped };
}

function viewStep(view: ViewRow, name: string): SchemaStep {
  const options = view.options.length === 0 ? '' : ` WITH (${view.options.join(', ')})`;
  return { name, done: `to_regclass(${quoteLiteral(quoteTable(view))}) IS NOT NULL`, sql: [`CREATE SCHEMA IF NOT EXISTS ${quoteIdent(view.schema)}`, `CREATE VIEW ${quoteTable(view)}${options} AS ${view.definition.replace(/;\s*$/, '')}`] };
}

/** Idempotent; what local refuses (a role, a function that it lacks) is returned, and the rest is made. Not inside a transaction. */
export async function createBehaviour(local: ClientBase, plan: BehaviourPlan): Promise<readonly SkippedBehaviour[]> {
  const skipped = [...plan.skipped];
  for (const step of plan.steps) {
    const done = await readJson<{ done: boolean | null }>(local, `SELECT ${step.done} AS done`);
    if (done[0]?.done === true) continue;
    await local.query('BEGIN');
    try {
      for (const sql of step.sql) await local.query(sql);
      await local.query('COMMIT');
    } catch (error) {
      await local.query('ROLLBACK');
      if (!(error instanceof Error && 'code' in error)) throw error;
      skipped.push({ name: step.name, reason: error.message });
    }
  }
  return skipped;
}
