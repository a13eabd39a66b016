/** Statements that the migration control answers, in both protocols. */
import { MigrationError } from '../../config/migration-error.ts';
import { commandComplete, dataRow, rowDescription } from '../wire/backend-messages.ts';
import { writeError, writeNotice } from '../wire/error-fields.ts';
import type { ErrorFields } from '../wire/error-fields.ts';
import { errorFieldsOf } from './client-error.ts';
import type { CommandResult } from './control-port.ts';
import type { SessionCore } from './session-core.ts';

export type CommandOutcome = { readonly ok: true; readonly result: CommandResult } | { readonly ok: false; readonly error: ErrorFields };

export class ControlAnswer {
  readonly #core: SessionCore;

  constructor(core: SessionCore) {
    this.#core = core;
  }

  /** Runs the text; a statement that changes anything is refused inside a transaction block, as a server refuses such commands. */
  run(sql: string, done: (outcome: CommandOutcome) => void): void {
    const core = this.#core;
    if (core.tx && !onlyReads(sql)) {
      done({ ok: false, error: { severity: 'ERROR', sqlstate: '25001', message: `MIG074: ${firstWords(sql)} cannot run inside a transaction block`, hint: 'End the transaction first.' } });
      return;
    }
    const { sessionId, user, address } = core.identity;
    const request = { sql, user, clientAddress: address, sessionId, searchPath: core.searchPath };
    core.services.control.command(request).then(
      (result) => {
        if (!core.ended) done({ ok: true, result });
      },
      (error: unknown) => {
        if (!(error instanceof MigrationError)) core.services.runtime.log.error('migration command failed', { error: String(error) });
        if (!core.ended) done({ ok: false, error: errorFieldsOf(error) });
      },
    );
  }

  /** Everything of a simple query's answer but ReadyForQuery. */
  simple(sql: string, done: () => void): void {
    this.run(sql, (outcome) => {
      if (outcome.ok) this.#core.toClient(Buffer.concat([...noticesOf(outcome.result), ...describe(outcome.result), ...rowsOf(outcome.result, 0), commandComplete(outcome.result.tag)]));
      else this.failed(outcome.error);
      done();
    });
  }

  failed(error: ErrorFields): void {
    if (this.#core.tx) this.#core.tx.failedOn ??= 'gateway';
    this.#core.toClient(writeError(error));
  }
}

export function noticesOf(result: CommandResult): Buffer[] {
  return (result.notices ?? []).map((notice) => writeNotice({ ...notice, sqlstate: notice.severity === 'WARNING' ? '01000' : '00000' }));
}

export function rowsOf(result: CommandResult, from: number, to = result.rows.length): Buffer[] {
  return result.rows.slice(from, to).map((row) => dataRow(row));
}

function describe(result: CommandResult): Buffer[] {
  return result.columns.length > 0 ? [rowDescription(result.columns)] : [];
}

/** True for statements that can be run for a Describe, and in a transaction block: they change nothing. */
export function onlyReads(sql: string): boolean {
  return /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(?:show|explain|check|select|with|table|values)\b/i.test(sql);
}

function firstWords(sql: string): string {
  return (/[a-z]+(?:\s+[a-z]+)?/i.exec(sql)?.[0] ?? 'the statement').toUpperCase();
}
