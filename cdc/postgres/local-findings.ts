/** What local has, lacks and allows; and whether there will be a way back (RULES 17). */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { TablePlan } from '../table-plan.ts';
import { serverCapabilities } from './capabilities.ts';
import { diffDefinitions } from './definition-diff.ts';
import { findTable } from './introspect.ts';
import type { Finding } from './finding.ts';
import { quoteIdent, quoteTable } from './quote.ts';
import { readJson, withQualifiedNames } from './read-json.ts';
import { readRequiredTypes } from './required-types.ts';
import { readReplicationSettings, replicationFindings, versionText } from './source-findings.ts';
import type { RequiredType, TableDefinition } from './definition.ts';

export async function localFindings(source: ClientBase, local: ClientBase, definition: TableDefinition, plan: TablePlan | undefined, target: QualifiedName): Promise<Finding[]> {
  return [
    ...(await targetFindings(local, definition, plan, target)),
    ...(await collationFindings(local, definition)),
    ...(await encodingFindings(source, local)),
  ];
}

/** What does not depend on the engine of the source. */
export async function targetFindings(local: ClientBase, definition: TableDefinition, plan: TablePlan | undefined, target: QualifiedName): Promise<Finding[]> {
  const settings = await readReplicationSettings(local);
  return [
    ...(await roleFindings(local)),
    ...(await typeFindings(local, definition.requiredTypes)),
    ...versionFindings(definition, settings.version),
    ...(plan === undefined ? [] : await existingTableFindings(local, definition, plan, target)),
    ...(plan === undefined ? [] : reverseFindings(definition, plan)),
    ...replicationFindings(settings, 'local'),
    ...(serverCapabilities(settings.version).publishedTruncate ? [] : [truncateFinding(settings.version)]),
    { code: 'server_version', severity: 'info', subject: 'local', message: `PostgreSQL ${versionText(settings.version)}`, remedy: '' },
    { code: 'disk_space', severity: 'info', subject: 'local', message: `the source's rows take ${formatBytes(definition.bytes)} without indexes; free space on local's disk cannot be asked for over SQL`, remedy: 'Keep twice that free, and the WAL of the load.' },
  ];
}

function truncateFinding(version: number): Finding {
  return { code: 'truncate', severity: 'warning', subject: 'local', message: `TRUNCATE is not in the change stream of PostgreSQL ${versionText(version)}: after cutover it would not go back to the source`, remedy: 'Use DELETE until the migration is complete.' };
}

function formatBytes(bytes: number): string {
  return bytes < 1048576 ? `${Math.ceil(bytes / 1024)} kB` : `${(bytes / 1048576).toFixed(1)} MB`;
}

async function roleFindings(local: ClientBase): Promise<Finding[]> {
  const rows = await readJson<{ role: string; superuser: boolean; create: boolean; version: number; database: string }>(local, `
    SELECT rolname AS role, rolsuper AS superuser, has_database_privilege(oid, current_database(), 'CREATE') AS create, current_setting('server_version_num')::int AS version, current_database() AS database FROM pg_roles WHERE rolname = current_user`);
  const row = rows[0];
  if (row === undefined || row.superuser) return [];
  const findings: Finding[] = [];
  const canSet = serverCapabilities(row.version).parameterGrants
    ? (await readJson<{ ok: boolean }>(local, "SELECT has_parameter_privilege(current_user, 'session_replication_role', 'SET') AS ok"))[0]?.ok === true
    : false;
  if (!canSet) {
    const remedy = serverCapabilities(row.version).parameterGrants ? `GRANT SET ON PARAMETER session_replication_role TO ${quoteIdent(row.role)};` : 'Use a superuser on local; before PostgreSQL 15 the right cannot be granted.';
    findings.push({ code: 'replication_role', severity: 'warning', subject: row.role, message: 'may not set session_replication_role on local: foreign keys are added at cutover, and user triggers are disabled by name until then', remedy });
  }
  if (!row.create) findings.push({ code: 'create_privilege', severity: 'error', subject: row.role, message: `may not create schemas in database ${row.database} of local`, remedy: `GRANT CREATE ON DATABASE ${quoteIdent(row.database)} TO ${quoteIdent(row.role)};`, errorCode: 'MIG004' });
  return findings;
}

async function typeFindings(local: ClientBase, required: readonly RequiredType[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const type of required) {
    const subject = `${type.schema}.${type.name}`;
    if (type.kind === 'extension') findings.push(...(await extensionFindings(local, type)));
    else if (type.kind === 'base') {
      const known = await readJson<{ known: boolean }>(local, 'SELECT to_regtype($1) IS NOT NULL AS known', [quoteTable(type)]);
      if (known[0]?.known !== true) findings.push({ code: 'column_type', severity: 'error', subject, message: 'is a base type outside any extension, and local lacks it', remedy: 'Install it on local, or leave the column out with OPTIONS (columns …).', errorCode: 'MIG012' });
    } else findings.push(...(await sameType(local, type)));
  }
  return findings;
}

async function extensionFindings(local: ClientBase, type: Extract<RequiredType, { kind: 'extension' }>): Promise<Finding[]> {
  const subject = `${type.schema}.${type.name}`;
  const [installed] = await readJson<{ version: string }>(local, 'SELECT extversion AS version FROM pg_extension WHERE extname = $1', [type.extension]);
  if (installed !== undefined) {
    if (installed.version === type.version) return [];
    return [{ code: 'extension', severity: 'warning', subject, message: `extension ${type.extension} is ${type.version} on the source and ${installed.version} on local`, remedy: `ALTER EXTENSION ${quoteIdent(type.extension)} UPDATE;` }];
  }
  // One broken control file, of whatever extension, makes the server refuse the whole list.
  const available = await readJson<{ version: string }>(local, 'SELECT default_version AS version FROM pg_available_extensions WHERE name = $1', [type.extension])
    .catch((error: unknown) => error instanceof Error ? error : new Error(String(error)));
  if (available instanceof Error) return [{ code: 'extension', severity: 'warning', subject, message: `local cannot list its extensions (${available.message}); extension ${type.extension} will be created if it is there`, remedy: 'Repair the file that the message names.' }];
  if (available[0] === undefined) return [{ code: 'extension', severity: 'error', subject, message: `needs extension ${type.extension}, which is not installed on local's machine`, remedy: `Install the extension's package there, or leave the column out with OPTIONS (columns …).`, errorCode: 'MIG012' }];
  return [{ code: 'extension', severity: 'info', subject, message: `extension ${type.extension} ${available[0].version} will be created on local`, remedy: '' }];
}

async function sameType(local: ClientBase, type: RequiredType): Promise<Finding[]> {
  const oid = await readJson<{ oid: number | null }>(local, 'SELECT to_regtype($1)::oid::int8 AS oid', [quoteTable(type)]);
  const found = oid[0]?.oid;
  if (found == null) return [];
  const present = (await withQualifiedNames(local, () => readRequiredTypes(local, [found]))).find((each) => each.schema === type.schema && each.name === type.name);
  if (present === undefined) return [];
  return typeDifference(type, present);
}

/** Pure. Local may know more labels than the source, never fewer. */
export function typeDifference(type: RequiredType, present: RequiredType): Finding[] {
  const subject = `${type.schema}.${type.name}`;
  const error = (message: string, remedy: string): Finding => ({ code: 'type_differs', severity: 'error', subject, message, remedy, errorCode: 'MIG011' });
  if (type.kind === 'enum' && present.kind === 'enum') {
    const missing = type.labels.filter((label) => !present.labels.includes(label));
    if (missing.length > 0) return [error(`local's enum lacks ${missing.join(', ')}`, missing.map((label) => `ALTER TYPE ${quoteTable(type)} ADD VALUE '${label.replaceAll("'", "''")}';`).join(' '))];
    const order = present.labels.filter((label) => type.labels.includes(label));
    return order.join('\0') === type.labels.join('\0') ? [] : [{ code: 'type_differs', severity: 'warning', subject, message: 'the labels of the enum are ordered differently on local: comparisons and ORDER BY will differ', remedy: 'Create the type anew on local.' }];
  }
  return JSON.stringify(type) === JSON.stringify(present) ? [] : [error('is defined differently on local', 'Drop or alter it on local so that it equals the source.')];
}

/** Pure: what the source's definition uses and an older local lacks. */
export function versionFindings(definition: TableDefinition, localVersion: number): Finding[] {
  const has = serverCapabilities(localVersion);
  const findings: Finding[] = [];
  const lacks = (severity: Finding['severity'], what: string, remedy: string): void => void findings.push({ code: 'version_feature', severity, subject: `local PostgreSQL ${versionText(localVersion)}`, message: what, remedy, ...(severity === 'error' ? { errorCode: 'MIG011' as const } : {}) });
  if (localVersion < definition.serverVersion - (definition.serverVersion % 10000)) lacks('warning', `is older than the source (${versionText(definition.serverVersion)})`, 'Use a local server that is at least as new.');
  if (!has.generatedColumns && definition.columns.some((column) => column.generated !== null)) lacks('error', 'has no generated columns', 'Use PostgreSQL 12 or later.');
  if (!has.virtualColumns && definition.columns.some((column) => column.generated === 'virtual')) lacks('warning', 'has no virtual generated columns: they are made STORED', '');
  if (!has.nullsNotDistinct && definition.indexes.some((index) => index.tail.includes('NULLS NOT DISTINCT'))) lacks('error', 'has no UNIQUE NULLS NOT DISTINCT', 'Use PostgreSQL 15 or later.');
  if (!has.partitionedKeys && definition.kind === 'partitioned' && definition.indexes.length > 0) lacks('error', 'has no keys on partitioned tables', 'Use PostgreSQL 11 or later.');
  if (!has.partitionedKeys && definition.partitions.some((part) => part.bound === 'DEFAULT' || part.bound.includes('modulus'))) lacks('error', 'has no default and no hash partitions', 'Use PostgreSQL 11 or later.');
  if (!has.multiranges && definition.columns.some((column) => column.baseType.includes('multirange'))) lacks('error', 'has no multirange types', 'Use PostgreSQL 14 or later.');
  return findings;
}

async function collationFindings(local: ClientBase, definition: TableDefinition): Promise<Finding[]> {
  const findings: Finding[] = [];
  const keyColumns = new Set(definition.indexes.flatMap((index) => index.columns));
  for (const column of definition.columns) {
    const collation = column.collation;
    if (collation === null || collation.name === 'default') continue;
    const subject = `${quoteTable(definition)} ${column.name}`;
    const found = await readJson<{ version: string | null; actual: string | null }>(local, `
      SELECT c.collversion AS version, pg_collation_actual_version(c.oid) AS actual FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
       WHERE n.nspname = $1 AND c.collname = $2 AND c.collencoding IN (-1, (SELECT encoding FROM pg_database WHERE datname = current_database()))`, [collation.schema, collation.name]);
    if (found[0] === undefined) findings.push({ code: 'collation', severity: 'error', subject, message: `collation ${collation.schema}.${collation.name} does not exist on local`, remedy: `CREATE COLLATION ${quoteTable(collation)} (…) on local.`, errorCode: 'MIG011' });
    else if (collation.version !== (found[0].actual ?? found[0].version) && collation.provider !== 'c') findings.push({ code: 'collation', severity: keyColumns.has(column.name) ? 'warning' : 'info', subject, message: `collation ${collation.name} has version ${collation.version ?? 'unknown'} on the source and ${found[0].actual ?? 'unknown'} on local: the order of texts may differ`, remedy: '' });
  }
  return findings;
}

async function encodingFindings(source: ClientBase, local: ClientBase): Promise<Finding[]> {
  const read = async (client: ClientBase): Promise<{ encoding: string; collation: string }> => {
    const rows = await readJson<{ encoding: string; collation: string }>(client, "SELECT pg_encoding_to_char(encoding) AS encoding, datcollate AS collation FROM pg_database WHERE datname = current_database()");
    return rows[0] ?? { encoding: '', collation: '' };
  };
  const [from, to] = [await read(source), await read(local)];
  const findings: Finding[] = [];
  if (from.encoding !== to.encoding) {
    const isSafe = to.encoding === 'UTF8' && from.encoding !== 'SQL_ASCII';
    findings.push({ code: 'encoding', severity: isSafe ? 'warning' : 'error', subject: 'local', message: `the source's encoding is ${from.encoding}, local's ${to.encoding}: ${isSafe ? 'texts are converted' : 'texts may not fit'}`, remedy: 'Create the local database with encoding UTF8, or with that of the source.', ...(isSafe ? {} : { errorCode: 'MIG011' as const }) });
  }
  if (from.collation !== to.collation) findings.push({ code: 'collation', severity: 'warning', subject: 'local', message: `the default collation is ${from.collation} on the source and ${to.collation} on local: the order of texts differs, and text keys are validated by hash buckets`, remedy: `Create the local database with LC_COLLATE '${from.collation}' if the order matters.` });
  return findings;
}

async function existingTableFindings(local: ClientBase, definition: TableDefinition, plan: TablePlan, target: QualifiedName): Promise<Finding[]> {
  const present = await findTable(local, target);
  if (present === undefined) {
    const other = await readJson<{ kind: string }>(local, 'SELECT relkind AS kind FROM pg_class WHERE oid = to_regclass($1)', [quoteTable(target)]);
    return other[0] === undefined ? [] : [{ code: 'target', severity: 'error', subject: quoteTable(target), message: 'local has another kind of relation (a view, a sequence …) of this name', remedy: 'Rename it, or give another name with OPTIONS (target_table …).', errorCode: 'MIG011' }];
  }
  const differences = diffDefinitions(definition, present, { sameTable: false, target, columns: plan.columns.map((column) => column.name) });
  const findings = differences.map((difference): Finding => ({ code: 'target', severity: difference.blocking ? 'error' : 'info', subject: `${quoteTable(target)} ${difference.subject}`, message: difference.message, remedy: difference.remedy ?? '', ...(difference.blocking ? { errorCode: 'MIG011' as const } : {}) }));
  const rows = await readJson<{ any: boolean }>(local, `SELECT EXISTS (SELECT 1 FROM ${quoteTable(target)}) AS any`).catch(() => [{ any: false }]);
  if (rows[0]?.any === true) findings.push({ code: 'target', severity: 'warning', subject: quoteTable(target), message: 'the table on local already holds rows', remedy: `TRUNCATE ${quoteTable(target)}; unless they came from this migration.` });
  return findings;
}

/** Pure: rows written on local after cutover that the source would refuse (RULES 17). */
export function reverseFindings(definition: TableDefinition, plan: TablePlan): Finding[] {
  const carried = new Set(plan.columns.map((column) => column.name));
  const findings: Finding[] = [];
  const warn = (subject: string, message: string, remedy: string): void => void findings.push({ code: 'way_back', severity: 'warning', subject, message, remedy });
  for (const column of definition.columns) {
    if (carried.has(column.name) || column.generated !== null || !column.notNull || column.default !== null || column.identity !== null) continue;
    warn(`${quoteTable(definition)} ${column.name}`, 'is left out, NOT NULL and without a default: a row inserted on local after cutover cannot go back to the source', `ALTER TABLE ${quoteTable(definition)} ALTER COLUMN ${quoteIdent(column.name)} SET DEFAULT …; on the source, or cut over with NO ROLLBACK.`);
  }
  const lost = definition.constraints.filter((constraint) => constraint.columns.some((name) => !carried.has(name)));
  for (const constraint of lost) warn(`${quoteTable(definition)} ${constraint.name}`, 'uses a column that is left out, so local does not enforce it: the source may refuse rows on the way back', 'Carry the column too, or cut over with NO ROLLBACK.');
  for (const key of definition.foreignKeys.filter((each) => each.columns.some((name) => !carried.has(name)))) warn(`${quoteTable(definition)} ${key.name}`, 'uses a column that is left out, so local does not enforce it', 'Carry the column too, or cut over with NO ROLLBACK.');
  if (plan.where !== undefined) warn(quoteTable(definition), 'rows outside the filter stay on the source: a key that local gives out anew may already be taken there', 'Keep the rollback window short, or cut over with NO ROLLBACK.');
  return findings;
}
