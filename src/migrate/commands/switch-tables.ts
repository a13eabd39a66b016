/** CUTOVER, ROLLBACK and EXPLAIN CUTOVER. */
import type { TableRecord } from '../../../catalog/records.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import type { Cutover, ExplainCutover, RollbackMigration } from '../../../grammar/migration/statement.ts';
import type { DependantState, DependantStatus } from '../../../cdc/postgres/create-dependants.ts';
import type { Dependant } from '../../../cdc/postgres/dependants.ts';
import { behaviourDrift } from '../behaviour-drift.ts';
import { cutover } from '../cutover.ts';
import type { SwitchReport } from '../cutover.ts';
import { decideCutover } from '../cutover-decision.ts';
import type { CutoverDecision, CutoverWords, MissingDependant, TableFacts } from '../cutover-decision.ts';
import { definitionDrift } from '../definition-drift.ts';
import { endMigration } from '../end-migration.ts';
import { reviewRights } from '../lost-rights.ts';
import { statesOf } from '../make-dependants.ts';
import { rollback } from '../rollback.ts';
import { detailsOf, displayName, mappingOf } from '../table-details.ts';
import { openLosses } from '../type-losses.ts';
import { isCompared, shadowFindings } from './show-shadow-reads.ts';
import { table, warning } from './answer.ts';
import type { SuccessfulAnswer } from './answer.ts';
import { findRecord, groupRecords, recordsOf, same, tiedNames } from './command-context.ts';
import type { CommandContext } from './command-context.ts';

export async function cutoverTables(context: CommandContext, statement: Cutover): Promise<SuccessfulAnswer> {
  const scope = statement.scope;
  const words: CutoverWords = { force: statement.force, split: statement.split, noFence: statement.noFence, noRollback: statement.noRollback, noGrants: statement.noGrants };
  if (scope.type === 'table' || scope.type === 'group') {
    const records = await recordsOf(context, scope);
    const report = await cutoverGroup(context, records, words, statement.timeoutMs);
    return switchAnswer('CUTOVER', [report.report], report.decision.warnings);
  }
  const remaining = (await recordsOf(context, scope)).filter((record) => record.state !== 'LOCAL_ONLY');
  const reports: SwitchReport[] = [];
  const warnings: string[] = [];
  for (const group of statement.together === true ? [ofOneSource(remaining)] : await splitIntoGroups(context, remaining)) {
    if (group.length === 0) break;
    const { report, decision } = await cutoverGroup(context, group, words, statement.timeoutMs);
    reports.push(report);
    warnings.push(...decision.warnings);
  }
  return switchAnswer('CUTOVER', reports, warnings);
}

export async function cutoverGroup(context: CommandContext, records: readonly TableRecord[], words: CutoverWords, timeoutMs: number | undefined): Promise<{ report: SwitchReport; decision: CutoverDecision }> {
  return context.work.alone(records.map((record) => record.tableId), 'CUTOVER', async () => {
    const fresh = await Promise.all(records.map(async (record) => (await context.catalog.table(record.tableId)) ?? record));
    await makeAgain(context, fresh);
    const decision = await decide(context, fresh, words);
    const [first, ...others] = decision.blocking;
    if (first) {
      throw new MigrationError(first.code, `${first.table === undefined ? '' : `${first.table}: `}${first.condition}`, {
        ...(others.length === 0 ? {} : { detail: others.map((each) => `${each.table === undefined ? '' : `${each.table}: `}${each.condition}`).join('\n') }),
        hint: first.remedy,
      });
    }
    const flow = await context.flow(fresh[0]?.sourceServer ?? '');
    await flow.schema.dependants.refreshStoredViews(fresh);
    return { report: await cutover(context, { records: fresh, words, timeoutMs, actor: context.actor }), decision };
  });
}

/** What local refused when the tables were loaded may be possible now: a role or an extension has been made since. */
async function makeAgain(context: CommandContext, records: readonly TableRecord[]): Promise<void> {
  const followed = records.find((record) => record.route.writes === 'source');
  if (followed === undefined) return;
  const flow = await context.flow(followed.sourceServer);
  await flow.schema.dependants.make((await context.catalog.tables()).filter(({ sourceServer }) => sourceServer === followed.sourceServer));
  await context.publisher.refreshRelations();
  await context.publisher.publish();
}

export async function rollbackTables(context: CommandContext, statement: RollbackMigration): Promise<SuccessfulAnswer> {
  const scope = statement.scope;
  let records = await recordsOf(context, scope);
  if (scope.type === 'schema') records = records.filter((record) => record.state !== 'NOT_STARTED');
  const reports: SwitchReport[] = [];
  const groups = scope.type === 'schema' && statement.together !== true ? await splitIntoGroups(context, records) : [ofOneSource(records)];
  for (const group of groups) reports.push(await rollbackGroup(context, group, statement, scope.type === 'table'));
  return switchAnswer('ROLLBACK MIGRATION', reports, []);
}

async function rollbackGroup(context: CommandContext, records: readonly TableRecord[], statement: RollbackMigration, single: boolean): Promise<SwitchReport> {
  if (single) await refuseSplitRollback(context, records);
  return context.work.alone(records.map((record) => record.tableId), 'ROLLBACK MIGRATION', async () => {
    const fresh = await Promise.all(records.map(async (record) => (await context.catalog.table(record.tableId)) ?? record));
    const moved = fresh.filter((record) => record.state === 'LOCAL_ONLY');
    if (fresh.some((record) => record.completedAt !== undefined)) throw new MigrationError('MIG061', 'the rollback window was closed by COMPLETE');
    const report = moved.length === 0 ? nothingMoved(fresh) : await rollback(context, { records: moved, preserveLocalData: statement.preserveLocalData, timeoutMs: statement.timeoutMs, actor: context.actor });
    for (const record of fresh) {
      if (moved.includes(record) && statement.preserveLocalData) continue;
      const now = (await context.catalog.table(record.tableId)) ?? record;
      await endMigration(context, now, { trigger: 'ROLLBACK MIGRATION', dropLocal: !statement.preserveLocalData });
      if (!moved.includes(record)) await context.catalog.audit({ action: 'ROLLBACK_COMPLETE', actor: context.actor, tableId: record.tableId, sourceServer: record.sourceServer });
    }
    return report;
  });
}

/** A table that is tied to others that stay on local would have its keys enforced on neither side. */
async function refuseSplitRollback(context: CommandContext, records: readonly TableRecord[]): Promise<void> {
  const [record] = records;
  if (record?.state !== 'LOCAL_ONLY') return;
  const all = await context.catalog.tables();
  const left = (await tiedNames(context, record)).filter((name) => !same(name, record.source) && all.some((each) => same(each.source, name) && each.state === 'LOCAL_ONLY'));
  if (left.length === 0) return;
  throw new MigrationError('MIG061', `${left.map(displayName).join(', ')} ${left.length === 1 ? 'is' : 'are'} tied to ${displayName(record.source)} and would stay on local`, {
    hint: `ROLLBACK MIGRATION FOR GROUP OF ${displayName(record.source)}; moves them together.`,
  });
}

function nothingMoved(records: readonly TableRecord[]): SwitchReport {
  return { attemptId: '', tables: records.map((record) => displayName(record.source)), pauseMs: 0, totalMs: 0, gaveWay: 0, steps: {} };
}

function switchAnswer(tag: string, reports: readonly SwitchReport[], warnings: readonly string[]): SuccessfulAnswer {
  const rows = reports.map((report) => [report.tables.join(', '), report.pauseMs, report.totalMs, report.gaveWay, Object.entries(report.steps).map(([step, ms]) => `${step} ${ms}`).join(', ')] as const);
  return table(tag, [['Tables'], ['Pause (ms)', 'float8'], ['Total (ms)', 'float8'], ['Gave way', 'int8'], ['Steps (ms)']], rows, warnings.map((text) => warning(text)));
}

export async function explainCutover(context: CommandContext, statement: ExplainCutover): Promise<SuccessfulAnswer> {
  const record = await findRecord(context, statement.table);
  const records = await groupRecords(context, record).catch(() => [record]);
  const words: CutoverWords = { force: false, split: false, noFence: false, noRollback: false, noGrants: false };
  const decision = await decide(context, records, words);
  const rows: (readonly [string, string, string])[] = [['Tables', records.map((each) => displayName(each.source)).join(', '), records.length > 1 ? `CUTOVER GROUP OF ${displayName(record.source)};` : '']];
  rows.push(['Decision', decision.go ? 'GO' : 'NO GO', decision.go ? `CUTOVER ${records.length > 1 ? 'GROUP OF' : 'TABLE'} ${displayName(record.source)};` : 'remove what blocks it, below']);
  for (const blocking of decision.blocking) rows.push(['Blocking', `${blocking.code}: ${blocking.table === undefined ? '' : `${blocking.table}: `}${blocking.condition}`, blocking.remedy]);
  for (const text of decision.warnings) rows.push(['Warning', text, '']);
  for (const [part, ms, why] of await predictPause(context, records)) rows.push([part, `${ms.toFixed(0)} ms`, why]);
  return table('EXPLAIN', [['Subject'], ['Finding'], ['Next']], rows);
}

/** Parts of the pause, each from something measured now: what is open, what is not applied yet, what the last switch took. */
async function predictPause(context: CommandContext, records: readonly TableRecord[]): Promise<readonly (readonly [string, number, string])[]> {
  const [first] = records;
  if (!first) return [];
  const flow = await context.flow(first.sourceServer);
  const writers = await flow.sourceSide.openWriters(records.map((record) => record.source));
  const lag = Math.max(0, ...records.map((record) => flow.forward.status(record.tableId)?.lagMs ?? 0));
  const last = records.map((record) => detailsOf(record).lastSwitch?.pauseMs).find((ms) => ms !== undefined);
  const parts: (readonly [string, number, string])[] = [
    ['Open writers', writers.longestMs, `${writers.count} transactions hold locks on the tables now; the longest has been open that long`],
    ['Drain', lag, 'changes not yet visible on local'],
    ['Fence, sequences, switch', 20 + 8 * records.length, 'fixed work for this number of tables'],
  ];
  parts.push(['Predicted pause', parts.reduce((sum, [, ms]) => sum + ms, 0), last === undefined ? 'no cutover of these tables has been made yet' : `the last switch took ${last} ms`]);
  return parts;
}

async function decide(context: CommandContext, records: readonly TableRecord[], words: CutoverWords): Promise<CutoverDecision> {
  const [first] = records;
  if (!first) throw new MigrationError('MIG072', 'no table to cut over');
  const flow = await context.flow(first.sourceServer);
  const tables: TableFacts[] = [];
  const dependants = await flow.schema.dependants.review(await context.catalog.tables());
  const { surveys } = records.some(isCompared) ? await context.survey(true) : { surveys: [] };
  const rights = await reviewRights(flow, records.map((record) => detailsOf(record).plan));
  for (const [at, record] of records.entries()) {
    const { lost, notes } = (record.state === 'LOCAL_ONLY' ? undefined : rights[at]) ?? { lost: [], notes: [] };
    const locksLost = notes.flatMap(({ users, kind }) => (kind === 'row_locks' ? [users] : []));
    tables.push({ ...(await factsOf(context, record, records, words, dependants)), lostRights: lost, locksLost, shadowReads: isCompared(record) ? shadowFindings(surveys, record) : undefined });
  }
  return decideCutover({ tables, streamConnected: flow.forward.health().connected, workers: context.fleet.size }, words);
}

async function factsOf(context: CommandContext, record: TableRecord, moving: readonly TableRecord[], words: CutoverWords, dependants: readonly DependantState[]): Promise<Omit<TableFacts, 'lostRights'>> {
  const flow = await context.flow(record.sourceServer);
  const status = flow.forward.status(record.tableId);
  const validation = await context.catalog.lastValidation(record.tableId);
  const moved = (await context.catalog.tables()).filter((each) => each.state === 'LOCAL_ONLY');
  const tied = (await tiedNames(context, record)).filter((name) => !moved.some((each) => same(each.source, name)));
  const definition = await flow.sourceSide.introspectTable(record.source, mappingOf(record));
  const wayBack = words.noRollback ? [] : await flow.sourceSide.wayBackFindings(definition, detailsOf(record).plan);
  return {
    name: displayName(record.source),
    state: record.state,
    lastError: record.state === 'ERROR' ? record.lastError : undefined,
    streamMode: status?.mode ?? 'absent',
    lagMs: status?.lagMs ?? 0,
    maxLagMs: typeof record.options['cutoverLagThresholdMs'] === 'number' ? record.options['cutoverLagThresholdMs'] : context.limits.maxLagMs,
    pendingRereads: status?.pendingRereads ?? 0,
    pendingWritebacks: status?.pendingWritebacks ?? 0,
    unresolvedConflicts: (await context.catalog.conflictCounts(record.tableId)).unresolved,
    tiesLeftBehind: tied.filter((name) => !moving.some((each) => same(each.source, name))).map((name) => ({ name: displayName(name), reason: 'a key, trigger, rule, sequence or partition' })),
    validation: validation?.finishedAt === undefined ? undefined : { mode: validation.mode, passed: validation.passed === true, mismatchedRows: validation.mismatchedRows, finishedAt: validation.finishedAt },
    definitionChanges: record.route.writes === 'source' ? [...(await definitionDrift(flow, record, definition)), ...(await behaviourDrift(flow, record, definition))] : [],
    missingDependants: missingOf(dependants, record),
    openLosses: record.state === 'LOCAL_ONLY' ? [] : await openLosses(context.catalog, flow, record.tableId),
    wayBackFindings: wayBack.map((finding) => `${finding.subject} ${finding.message}`),
  };
}

/** A trigger or function that is not there is missed by every write; another one of the name may be meant so, and FORCE says that it is. */
function missingOf(states: readonly DependantState[], record: TableRecord): MissingDependant[] {
  return statesOf(states, record).filter(({ status }) => status !== 'present').map(({ dependant, status, reason }) => ({ name: `${dependant.kind} ${dependant.name}`, reason, weight: weightOf(dependant, status) }));
}

function weightOf(dependant: Dependant, status: DependantStatus): MissingDependant['weight'] {
  if (status === 'waiting' && dependant.isPlainQuery === true) return 'replaced';
  return status !== 'differs' && dependant.isCalledOnly !== true && ['trigger', 'function', 'policy', 'row security'].includes(dependant.kind) ? 'required' : 'useful';
}

/** One barrier has one fence and one stream. */
function ofOneSource(records: readonly TableRecord[]): readonly TableRecord[] {
  const other = records.find(({ sourceServer }) => sourceServer !== records[0]?.sourceServer);
  if (other === undefined) return records;
  throw new MigrationError('MIG074', `${displayName(other.source)} comes from another source than ${displayName(records[0]?.source ?? other.source)}`, { hint: 'Leave TOGETHER out: the groups move one after the other.' });
}

async function splitIntoGroups(context: CommandContext, records: readonly TableRecord[]): Promise<readonly (readonly TableRecord[])[]> {
  const groups: TableRecord[][] = [];
  for (const record of records) {
    if (groups.some((group) => group.includes(record))) continue;
    const names = await tiedNames(context, record);
    groups.push(records.filter((each) => names.some((name) => same(name, each.source))));
  }
  return groups;
}
