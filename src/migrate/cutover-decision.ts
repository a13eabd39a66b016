/**
 * Go or no-go: everything that can be known before a cutover is begun. Pure; `EXPLAIN CUTOVER` shows the same value that
 * `CUTOVER` obeys (house rule 6).
 */
import type { TypeLossRecord } from '../../catalog/records.ts';
import type { TableState } from '../../catalog/table-state.ts';
import type { ErrorCode } from '../../config/migration-error.ts';
import { driftRemedy } from './definition-drift.ts';
import { describeLoss, lossRemedy } from './type-losses.ts';
import { allRemedies, describeLostRights } from './lost-rights.ts';
import type { LostRights } from './lost-rights.ts';

export interface TableFacts {
  readonly name: string;
  readonly state: TableState;
  /** Of a table that is in ERROR: what for. */
  readonly lastError?: string | undefined;
  readonly streamMode: 'spooling' | 'draining' | 'shared' | 'failed' | 'absent';
  readonly lagMs: number;
  /** Option `cutover_lag_threshold`. */
  readonly maxLagMs: number;
  readonly pendingRereads: number;
  readonly pendingWritebacks: number;
  readonly unresolvedConflicts: number;
  /** Names of tables tied to this one that are not part of the switch, with why. */
  readonly tiesLeftBehind: readonly { readonly name: string; readonly reason: string }[];
  readonly validation: { readonly mode: 'full' | 'sample'; readonly passed: boolean; readonly mismatchedRows: number; readonly finishedAt: string } | undefined;
  /** Errors of the preflight of the way back (RULES 17). */
  readonly wayBackFindings: readonly string[];
  /** What the table's definition is now, and was not when the migration began (RULES 6). */
  readonly definitionChanges: readonly string[];
  /** Functions, triggers, rules, policies and views of the table that local does not have as the source has them. */
  readonly missingDependants: readonly MissingDependant[];
  /** Losses on record that nobody has accepted. */
  readonly openLosses: readonly TypeLossRecord[];
  /** What users of the gateway may do on the source and may not on local. */
  readonly lostRights: readonly LostRights[];
  /** Users who may lock rows on the source without changing them, and not on local. */
  readonly locksLost?: readonly string[] | undefined;
  /** Reads that were compared with local (`read_from 'compare'`): how many differed, and how many failed there. */
  readonly shadowReads?: { readonly different: number; readonly failed: number } | undefined;
}

export interface MissingDependant {
  readonly name: string;
  readonly reason: string;
  /** `required`: writes would have other effects without it. `useful`: statements on it fail, and nothing else does; FORCE goes without. `replaced`: the gateway puts its query in the place of its name. */
  readonly weight: 'required' | 'useful' | 'replaced';
}

export interface CutoverWords {
  readonly force: boolean;
  readonly split: boolean;
  readonly noFence: boolean;
  readonly noRollback: boolean;
  readonly noGrants: boolean;
}

export interface CutoverFacts {
  readonly tables: readonly TableFacts[];
  readonly streamConnected: boolean;
  readonly workers: number;
}

export interface BlockingCondition {
  readonly code: ErrorCode;
  readonly table: string | undefined;
  readonly condition: string;
  readonly remedy: string;
}

export interface CutoverDecision {
  readonly go: boolean;
  readonly blocking: readonly BlockingCondition[];
  readonly warnings: readonly string[];
}

/** SHOW MIGRATION TYPE LOSS has them all. */
const LISTED_LOSSES = 5;
/** CHECK MIGRATION has them all. */
const LISTED_USERS = 5;

export function decideCutover(facts: CutoverFacts, words: CutoverWords): CutoverDecision {
  const blocking: BlockingCondition[] = [];
  if (!facts.streamConnected) {
    blocking.push({ code: 'MIG023', table: undefined, condition: 'the change stream of the source is not connected', remedy: 'Wait until SHOW MIGRATION STATUS shows a lag again, or look at SHOW MIGRATION ERRORS.' });
  }
  for (const table of facts.tables) blocking.push(...conditionsOf(table, words));
  return { go: blocking.length === 0, blocking, warnings: warningsOf(facts, words) };
}

function conditionsOf(table: TableFacts, words: CutoverWords): BlockingCondition[] {
  const found: BlockingCondition[] = [];
  const block = (code: ErrorCode, condition: string, remedy: string): void => void found.push({ code, table: table.name, condition, remedy });
  if (table.state === 'LOCAL_ONLY') block('MIG074', 'it is LOCAL_ONLY already', 'Nothing is left to do; COMPLETE MIGRATION ends the rollback window.');
  else if (table.state !== 'CUTOVER_READY' && !(words.force && table.state === 'DUAL_WRITE')) stateCondition(table, words, block);
  else streamConditions(table, block);
  for (const change of table.definitionChanges) {
    block('MIG011', `its definition has changed: ${change}`, driftRemedy(table.name));
  }
  if (!words.split) {
    for (const tie of table.tiesLeftBehind) {
      block('MIG050', `${tie.name} is tied to it (${tie.reason}) and would stay behind`, `CUTOVER GROUP OF ${table.name} moves them together; CUTOVER TABLE ${table.name} SPLIT moves it alone, and what ties them is no longer enforced.`);
    }
  }
  if (!words.noRollback) {
    for (const finding of table.wayBackFindings) {
      block('MIG050', `the way back is not open: ${finding}`, `Remove the cause, or say CUTOVER TABLE ${table.name} NO ROLLBACK.`);
    }
  }
  for (const missing of table.missingDependants) {
    if (missing.weight === 'replaced' || (missing.weight === 'useful' && words.force)) continue;
    block('MIG050', `${missing.name} is not on local as on the source: ${missing.reason}`, `Remove what is in its way, and CUTOVER makes it; or create it on local as it is on the source; or drop it on the source if nothing needs it${missing.weight === 'useful' ? ', or CUTOVER … FORCE to go without it' : ''}.`);
  }
  if (table.lostRights.length > 0 && !words.noGrants) block('MIG054', `users may do less on local than on the source: ${listRights(table.lostRights)}`, rightsRemedy(table));
  if (table.openLosses.length > 0) block('MIG053', `losses are not accepted: ${listLosses(table.openLosses)}`, lossRemedy(table.name));
  return found;
}

function listLosses(losses: readonly TypeLossRecord[]): string {
  const shown = losses.slice(0, LISTED_LOSSES).map(describeLoss).join('; ');
  return losses.length > LISTED_LOSSES ? `${shown}; and ${losses.length - LISTED_LOSSES} more` : shown;
}

function listRights(rights: readonly LostRights[]): string {
  const shown = rights.slice(0, LISTED_USERS).map(describeLostRights).join('; ');
  return rights.length > LISTED_USERS ? `${shown}; and ${rights.length - LISTED_USERS} more` : shown;
}

function rightsRemedy({ name, lostRights }: TableFacts): string {
  const remedies = [...new Set(lostRights.flatMap(allRemedies))];
  return `${remedies.join(' ')} Or CUTOVER … NO GRANTS goes though statements on ${name} will be refused.`;
}

function stateCondition(table: TableFacts, words: CutoverWords, block: (code: ErrorCode, condition: string, remedy: string) => void): void {
  if (table.state !== 'DUAL_WRITE') {
    block('MIG074', `it is in state ${table.state}${table.lastError === undefined ? '' : ` (${table.lastError})`}`, `SHOW MIGRATION WHY FOR TABLE ${table.name} says what comes first.`);
    return;
  }
  const remedy = `VALIDATE MIGRATION FOR TABLE ${table.name} FULL${words.force ? '' : ', or CUTOVER … FORCE to go without'}`;
  if (!table.validation) block('MIG050', 'it has not been validated', remedy);
  else if (!table.validation.passed) block('MIG050', `the validation of ${table.validation.finishedAt} found ${table.validation.mismatchedRows} rows that differ`, `RESYNC MIGRATION FOR TABLE ${table.name}, then ${remedy}`);
  else if (table.validation.mode === 'sample') block('MIG050', 'only a sample of it has been validated', remedy);
  else block('MIG050', `the validation of ${table.validation.finishedAt} does not count: the table was not in DUAL_WRITE then, or has left it since`, remedy);
}

function streamConditions(table: TableFacts, block: (code: ErrorCode, condition: string, remedy: string) => void): void {
  if (table.streamMode !== 'shared') block('MIG022', `its changes are ${table.streamMode}, not applied in step with the others`, 'Wait; SHOW MIGRATION STATUS shows when the lag is near zero.');
  if (table.lagMs > table.maxLagMs) block('MIG022', `it lags ${(table.lagMs / 1000).toFixed(1)} s behind, more than ${(table.maxLagMs / 1000).toFixed(1)} s`, 'Wait until the lag has fallen.');
  if (table.pendingRereads > 0) block('MIG050', `${table.pendingRereads} rows still have to be read again from the source`, 'Wait a moment; the stream does it by itself.');
  if (table.pendingWritebacks > 0) block('MIG050', `${table.pendingWritebacks} rows that won a conflict on local still have to be written to the source`, `Wait a moment; SHOW MIGRATION ERRORS FOR TABLE ${table.name} tells what is in the way.`);
  if (table.unresolvedConflicts > 0) block('MIG030', `${table.unresolvedConflicts} conflicts are not resolved`, `SHOW MIGRATION CONFLICTS FOR TABLE ${table.name} UNRESOLVED shows both rows.`);
}

function warningsOf(facts: CutoverFacts, words: CutoverWords): string[] {
  const warnings: string[] = [];
  if (words.force) warnings.push('FORCE: validation is skipped.');
  if (words.noFence) warnings.push('NO FENCE: a program that writes to the source directly is not stopped, and its writes are lost.');
  if (words.noRollback) warnings.push('NO ROLLBACK: there is no way back to the source without losing what is written after the cutover.');
  if (words.noGrants) for (const table of facts.tables) if (table.lostRights.length > 0) warnings.push(`NO GRANTS: ${table.name}: ${listRights(table.lostRights)}`);
  for (const { name, locksLost = [] } of facts.tables) if (locksLost.length > 0) warnings.push(`${name}: ${locksLost.join('; ')} may lock rows on the source (FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE) and not on local, where that takes the privilege UPDATE.`);
  if (words.split) {
    for (const table of facts.tables) for (const tie of table.tiesLeftBehind) warnings.push(`SPLIT: ${tie.reason} between ${table.name} and ${tie.name} is no longer enforced.`);
  }
  if (words.force) {
    for (const table of facts.tables) for (const missing of table.missingDependants) if (missing.weight === 'useful') warnings.push(`FORCE: ${missing.name} will not work: ${missing.reason}`);
  }
  for (const table of facts.tables) for (const missing of table.missingDependants) if (missing.weight === 'replaced') warnings.push(`${missing.name} stays on the source, as ${missing.reason}: through the gateway its query takes its place (slower); a program that asks local does not find it.`);
  for (const { name, shadowReads } of facts.tables) {
    if (!shadowReads || shadowReads.different + shadowReads.failed === 0) continue;
    warnings.push(`${name}: ${shadowReads.different} compared reads differed on local, ${shadowReads.failed} failed there; SHOW MIGRATION SHADOW READS FOR TABLE ${name} has the statements.`);
  }
  if (facts.workers === 0) warnings.push('no gateway worker is connected.');
  return warnings;
}
