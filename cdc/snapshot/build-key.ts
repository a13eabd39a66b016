/** The key of a loaded table on the target: replay needs it to find rows, and so does a load that goes on by key ranges. */
import type { ClientBase } from 'pg';
import { buildKey as buildPlannedKey } from '../postgres/build-keys.ts';
import { planSchema } from '../postgres/create-schema.ts';
import { introspectTable } from '../postgres/introspect.ts';
import { readServerVersion } from '../postgres/read-json.ts';
import type { TablePlan } from '../table-plan.ts';

/** Builds the key as the source has it, under its name there; idempotent. */
export async function buildKey(source: ClientBase, target: ClientBase, plan: TablePlan): Promise<void> {
  const definition = await introspectTable(source, plan.source);
  const schema = planSchema(definition, plan, { localVersion: await readServerVersion(target) });
  try {
    await buildPlannedKey(target, schema);
  } catch {
    // A process that was driving this load before may have been building it: then it is there now. Any other cause fails again.
    await buildPlannedKey(target, schema);
  }
}
