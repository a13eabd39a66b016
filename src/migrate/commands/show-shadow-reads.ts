/** SHOW MIGRATION SHADOW READS: what comparing reads has found, over all gateway workers. */
import type { TableRecord } from '../../../catalog/records.ts';
import { relationKey } from '../../../catalog/routing-snapshot.ts';
import type { ShowShadowReads } from '../../../grammar/migration/statement.ts';
import type { SurveyedShadowReads } from '../worker-survey.ts';
import { displayName } from '../table-details.ts';
import { table, warning } from './answer.ts';
import type { SuccessfulAnswer } from './answer.ts';
import { findRecord } from './command-context.ts';
import type { CommandContext } from './command-context.ts';

type Notices = SuccessfulAnswer['notices'];

export async function showShadowReads(context: CommandContext, statement: ShowShadowReads): Promise<SuccessfulAnswer> {
  const record = statement.table && (await findRecord(context, statement.table));
  const { surveys, unheard } = await context.survey(true);
  const key = record && relationKey(record.source.schema, record.source.name);
  const found = addUp(surveys.flatMap(({ shadowReads }) => shadowReads ?? [])).filter(({ tables }) => key === undefined || tables.includes(key));
  const rows = found.sort((a, b) => weight(b) - weight(a) || b.results.equal - a.results.equal).map((each) => {
    const { results, timed } = each;
    const mean = (sum: number): string | undefined => (timed === 0 ? undefined : (sum / timed).toFixed(2));
    const longest = (ms: number): string | undefined => (timed === 0 ? undefined : ms.toFixed(2));
    return [
      each.tables.join(', '), each.statement, results.equal, results.different, results.unsettled, results.order_differs, results.failed, results.too_large, results.skipped, results.dropped, each.slower,
      mean(each.sourceMs), longest(each.sourceMaxMs), mean(each.localMs), longest(each.localMaxMs), each.note, each.example,
    ];
  });
  return table('SHOW', [
    ['Tables'], ['Statement'], ['Equal', 'int8'], ['Different', 'int8'], ['Unsettled', 'int8'], ['Order Differs', 'int8'], ['Failed', 'int8'], ['Too Large', 'int8'], ['Skipped', 'int8'], ['Dropped', 'int8'], ['Slower', 'int8'],
    ['Source ms', 'float8'], ['Source Max ms', 'float8'], ['Local ms', 'float8'], ['Local Max ms', 'float8'], ['Note'], ['Example'],
  ], rows, [...unheardNotice(unheard), ...(await whyNone(context, record, rows.length)), ...(await apart(context, record))]);
}

/** Reads of the table that were found to be different, to fail, or slower on local: for those who decide on a cutover. */
export function shadowFindings(surveys: readonly { readonly shadowReads?: readonly SurveyedShadowReads[] }[], record: TableRecord): { readonly different: number; readonly failed: number } {
  const key = relationKey(record.source.schema, record.source.name);
  const own = surveys.flatMap(({ shadowReads }) => shadowReads ?? []).filter(({ tables }) => tables.includes(key));
  return { different: own.reduce((sum, { results }) => sum + results.different, 0), failed: own.reduce((sum, { results }) => sum + results.failed, 0) };
}

export function isCompared({ options }: TableRecord): boolean {
  return options['readFrom'] === 'compare';
}

/** What a person has to look at comes first. */
function weight({ results, slower }: SurveyedShadowReads): number {
  return 1e6 * Number(results.different > 0) + 1e5 * Number(results.failed > 0) + 1e4 * Number(results.order_differs > 0) + 1e3 * Number(slower > 0);
}

function addUp(all: readonly SurveyedShadowReads[]): SurveyedShadowReads[] {
  const sums = new Map<string, SurveyedShadowReads>();
  for (const each of all) {
    const key = JSON.stringify([each.statement, ...each.tables]);
    const sum = sums.get(key);
    sums.set(key, sum ? plus(sum, each) : each);
  }
  return [...sums.values()];
}

function plus(a: SurveyedShadowReads, b: SurveyedShadowReads): SurveyedShadowReads {
  const results = { ...a.results };
  for (const [result, count] of Object.entries(b.results) as [keyof typeof results, number][]) results[result] += count;
  return {
    ...a, results, slower: a.slower + b.slower, timed: a.timed + b.timed, sourceMs: a.sourceMs + b.sourceMs, sourceMaxMs: Math.max(a.sourceMaxMs, b.sourceMaxMs),
    localMs: a.localMs + b.localMs, localMaxMs: Math.max(a.localMaxMs, b.localMaxMs), note: a.note ?? b.note, example: a.example ?? b.example,
  };
}

function unheardNotice(unheard: number): Notices {
  return unheard === 0 ? [] : [warning(`${unheard} gateway workers did not answer in time`, 'What they have found is not in the list.', '/metrics has the sums of all.')];
}

async function whyNone(context: CommandContext, record: TableRecord | undefined, rows: number): Promise<Notices> {
  if (rows > 0) return [];
  const records = record ? [record] : await context.catalog.tables();
  if (!records.some(isCompared)) return [warning('no read is compared', "Reads are compared with read_from 'compare' only.", "START MIGRATION … OPTIONS (read_from 'compare'); of a table that has started with read_from 'source': ALTER MIGRATION … SET OPTION read_from = 'compare'.")];
  const waiting = records.filter((each) => isCompared(each) && each.state !== 'DUAL_WRITE' && each.state !== 'CUTOVER_READY');
  return waiting.length === 0 ? [] : [warning(`reads are compared in DUAL_WRITE and CUTOVER_READY only: ${waiting.map((each) => `${displayName(each.source)} is ${each.state}`).join(', ')}`)];
}

/** Reads on local are not waited for such a table: what is told to be visible does not speak for it. */
async function apart(context: CommandContext, record: TableRecord | undefined): Promise<Notices> {
  const records = (record ? [record] : await context.catalog.tables()).filter((each) => isCompared(each) && (each.state === 'DUAL_WRITE' || each.state === 'CUTOVER_READY'));
  const found: string[] = [];
  for (const each of records) if ((await context.flow(each.sourceServer)).forward.status(each.tableId)?.mode !== 'shared') found.push(displayName(each.source));
  return found.length === 0 ? [] : [warning(`changes of ${found.join(', ')} are not applied in step with the others now`, 'Differences may be what has not been applied yet.')];
}
