/** Words and signs that expressions are made of. https://dev.mysql.com/doc/refman/8.4/en/expressions.html */

export const comparisons: ReadonlySet<string> = new Set(['=', '<=>', '<', '<=', '>', '>=', '<>', '!=']);
/** Binary operators of numbers and bits, by how tightly they bind. */
export const bitOperators: Readonly<Record<string, number>> = { '|': 1, '&': 2, '<<': 3, '>>': 3, '+': 4, '-': 4, '*': 5, '/': 5, '%': 5, DIV: 5, MOD: 5, '^': 6 };
export const intervalUnits: ReadonlySet<string> = new Set(['MICROSECOND', 'SECOND', 'MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR', 'SECOND_MICROSECOND', 'MINUTE_MICROSECOND', 'MINUTE_SECOND', 'HOUR_MICROSECOND', 'HOUR_SECOND', 'HOUR_MINUTE', 'DAY_MICROSECOND', 'DAY_SECOND', 'DAY_MINUTE', 'DAY_HOUR', 'YEAR_MONTH']);
/** Called without parentheses. */
export const bareCalls: ReadonlySet<string> = new Set(['CURRENT_DATE', 'CURRENT_TIME', 'CURRENT_TIMESTAMP', 'CURRENT_USER', 'LOCALTIME', 'LOCALTIMESTAMP', 'UTC_DATE', 'UTC_TIME', 'UTC_TIMESTAMP']);
/** Reserved words that are functions before a parenthesis. */
export const reservedCalls: ReadonlySet<string> = new Set(['IF', 'LEFT', 'RIGHT', 'REPLACE', 'INSERT', 'MOD', 'REPEAT', 'DATABASE', 'SCHEMA', 'CHAR', 'TRUNCATE', 'CURRENT_DATE', 'CURRENT_TIME', 'CURRENT_TIMESTAMP', 'CURRENT_USER', 'LOCALTIME', 'LOCALTIMESTAMP', 'UTC_DATE', 'UTC_TIME', 'UTC_TIMESTAMP']);
