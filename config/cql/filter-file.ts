/** `filter-rules.yaml`: which tenants and tables the target cluster does not get. */
import { z } from 'zod';

/** A tenant as a text; YAML makes numbers of some. */
const tenant = z.union([z.string().min(1), z.int().transform(String), z.boolean().transform(String)], { error: 'expected a text, a whole number or a uuid' });
const tenants = z.array(tenant).nullable().transform((list) => list ?? []).default([]);

const name = /^(?:\*|"(?:[^"]|"")+"|\w+)$/;

/** `ks.t`, `ks.*`, `*.t`, a keyspace alone is `ks.*`; names are folded unless they stand in double quotes. */
const pattern = z.string().transform((text, context) => {
  const parts = text.trim().match(/"(?:[^"]|"")*"|[^."]+|\./g)?.filter((part) => part !== '.') ?? [];
  const [keyspace, table = '*'] = parts;
  if (keyspace === undefined || parts.length > 2 || !name.test(keyspace) || !name.test(table) || !/^[^.]+(?:\.[^.]+)?$/.test(text.trim().replace(/"(?:[^"]|"")*"/g, 'q'))) {
    context.addIssue({ code: 'custom', message: 'expected ks.table, ks.* or *.table' });
    return z.NEVER;
  }
  return { keyspace: fold(keyspace), table: fold(table) };
});

function fold(written: string): string {
  return written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written.toLowerCase();
}

const patterns = z.array(pattern).nullable().transform((list) => list ?? []).default([]);

const doubt = z.enum(['replicate', 'skip']).default('replicate');

export const filterFileSchema = z.strictObject({
  filters: z.strictObject({
    tenant_blacklist: tenants,
    /** Not empty: only these. */
    tenant_whitelist: tenants,
    table_blacklist: patterns,
    table_whitelist: patterns,
    /** The first that a statement names is the tenant's. */
    tenant_id_columns: z.array(z.string().min(1).transform((text) => fold(text))).default(['tenant_id', 'system_domain_id']),
    /** A write that names no tenant, or one whose tenant the frame does not tell. */
    missing_tenant: doubt,
    /** A write of several tenants that are not treated alike, which cannot be cut. */
    mixed_tenants: doubt,
    /** 0: only at the start. */
    reload_interval_secs: z.number().min(0).max(86_400).default(30),
  }).prefault({}),
});

export type FilterRules = z.output<typeof filterFileSchema>['filters'];
export type TablePattern = FilterRules['table_blacklist'][number];
