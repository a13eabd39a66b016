/** Fields of a file of LOAD DATA as parameters of an INSERT, by the columns that they are for. */
import type { LoadData } from '../../../grammar/dialect/postgres/mysql-tree.ts';
import type { MysqlColumnFacts, MysqlParameter, MysqlTableFacts } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import type { FileRow } from './file-rows.ts';
import { decodeText } from './text-charset.ts';

const bytesTypes = /(?:binary|blob)$/;

export class LoadedValues {
  readonly columns: readonly string[];
  readonly kinds: readonly MysqlParameter['kind'][];
  readonly #head: string;
  readonly #charset: string;

  /** `charset`: of the file, where the statement does not say one. */
  constructor(table: MysqlTableFacts, load: LoadData, charset: string) {
    const named = load.columns ?? table.columns.filter(({ invisible }) => !invisible).map(({ mysqlName: name }) => name);
    const facts = named.map((name) => table.columns.find((column) => column.mysqlName.toLowerCase() === name.toLowerCase()));
    this.columns = named;
    this.kinds = facts.map(kindOf);
    this.#charset = load.charset ?? charset;
    this.#head = `INSERT IGNORE INTO ${quoted(table.mysqlDatabase)}.${quoted(table.mysqlName)} (${named.map(quoted).join(', ')}) VALUES `;
  }

  statement(rows: number): string {
    const row = `(${this.columns.map(() => '?').join(', ')})`;
    return this.#head + Array.from({ length: rows }, () => row).join(', ');
  }

  /** `before`: rows of the file before these. */
  of(rows: readonly FileRow[], before: number): MysqlParameter[] | MysqlError {
    const parameters: MysqlParameter[] = [];
    for (const [at, row] of rows.entries()) {
      const number = before + at + 1;
      if (row.length < this.columns.length) return { code: 1261, sqlstate: '01000', message: `Row ${number} doesn't contain data for all columns` };
      if (row.length > this.columns.length) return { code: 1262, sqlstate: '01000', message: `Row ${number} was truncated; it contained more data than there were input columns` };
      for (const [place, field] of row.entries()) {
        const kind = this.kinds[place] ?? 'text';
        const value = field === null || kind === 'bytes' ? field : this.#decoded(field);
        if (value === undefined) return { code: 1300, sqlstate: 'HY000', message: `Invalid ${this.#charset} character string in row ${number}` };
        parameters.push({ kind, value });
      }
    }
    return parameters;
  }

  /** Undefined: these bytes are no text. */
  #decoded(field: string): string | undefined {
    if (!/[\x80-\xff]/.test(field)) return field;
    const bytes = Buffer.from(field, 'latin1');
    const text = decodeText(bytes, this.#charset);
    return text !== undefined && (!text.includes('\ufffd') || Buffer.from(text, 'utf8').equals(bytes)) ? text : undefined;
  }
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

function kindOf(column: MysqlColumnFacts | undefined): MysqlParameter['kind'] {
  return column !== undefined && bytesTypes.test(column.type.name) ? 'bytes' : 'text';
}
