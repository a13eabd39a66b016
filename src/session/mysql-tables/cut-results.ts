/**
 * Values that a server cuts, or makes NULL of, with no more than a warning: texts that are larger than it takes, and rows that are missing at the end of a recursion. An INSERT or UPDATE fails
 * there by itself, in the mode of our connections; what reads and DELETE go on.
 */
import { mayBeCut } from '../../../grammar/dialect/mysql/cut-text.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import { PayloadReader } from '../../wire/mysql/payload.ts';
import type { TextOutcome } from '../../wire/mysql/text-client.ts';
import { errorOfMysql } from './mysql-errors.ts';
import type { MysqlSide } from './mysql-side.ts';

/** Cut by group_concat_max_len or max_allowed_packet, larger than that packet, end of a recursion. */
const cuts: ReadonlySet<number> = new Set([1260, 1301, 1931]);

/** `done` without an error: what has been read is what was asked for. */
export function whenWhole(side: MysqlSide, sql: string, outcome: Extract<TextOutcome, { ok: true }>, done: (error: ErrorFields | undefined) => void): void {
  if (outcome.warnings === 0 || !mayBeCut(sql)) return done(undefined);
  let cut: ErrorFields | undefined;
  let listed = 0;
  side.query('SHOW WARNINGS', (payload) => {
    const reader = new PayloadReader(payload);
    const [, code = '', message = ''] = [reader.text(), reader.text(), reader.text()].map((value) => value?.toString('utf8'));
    listed += 1;
    if (cuts.has(Number(code))) cut ??= errorOfMysql({ code: Number(code), sqlstate: 'HY000', message }, () => undefined);
  }, (shown) => {
    if (!shown.ok) return done(errorOfMysql(shown.error, () => undefined));
    // The server keeps the first ones only: the others may have been of that kind.
    if (listed < outcome.warnings) cut ??= errorOfMysql({ code: 1301, sqlstate: 'HY000', message: `${outcome.warnings} warnings, of which ${listed} are known` }, () => undefined);
    done(cut);
  });
}
