/** COPY … FROM STDIN, as far as its rows can be written by a MySQL server: what it says of the table and of the data. https://www.postgresql.org/docs/current/sql-copy.html */
import { listOf, nodeOf, stringNode, stringOf, treeOf } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';
import { Refusal, refuse } from './refusal.ts';
import type { RefusedTranslation } from './translation.ts';

export interface CopyFormat {
  readonly format: 'text' | 'csv' | 'binary';
  /** One character of ASCII, as are quote and escape. */
  readonly delimiter: string;
  readonly nullText: string;
  readonly hasHeader: boolean;
  readonly quote: string;
  readonly escape: string;
}

export interface CopyStatement extends CopyFormat {
  readonly type: 'copy';
  readonly schema: string | undefined;
  readonly table: string;
  /** Empty: all that are not computed. */
  readonly columns: readonly string[];
}

/** `node` is a statement of the tree, as `{CopyStmt: {…}}`. */
export function readCopyStatement(node: unknown): CopyStatement | RefusedTranslation {
  try {
    return read(nodeOf(node, 'CopyStmt') ?? refuse('COPY'));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { type: 'refused', construct: error.construct, place: error.place };
  }
}

function read(copy: Tree): CopyStatement {
  const relation = treeOf(copy['relation']);
  const table = stringOf(relation?.['relname']);
  if (relation === undefined || table === undefined || copy['is_from'] !== true) return refuse('COPY TO');
  if (copy['filename'] !== undefined) return refuse('COPY from a file of the server');
  if (copy['is_program'] === true) return refuse('COPY from a program');
  if (copy['whereClause'] !== undefined) return refuse('WHERE of COPY');
  const columns = listOf(copy['attlist']).map((item) => stringNode(item) ?? refuse('column of COPY'));
  return { type: 'copy', schema: stringOf(relation['schemaname']), table, columns, ...formatOf(listOf(copy['options']).map((item) => nodeOf(item, 'DefElem') ?? refuse('option of COPY'))) };
}

function formatOf(options: readonly Tree[]): CopyFormat {
  const said = new Map<string, string>();
  for (const option of options) {
    const name = stringOf(option['defname']) ?? '';
    if (!known.has(name)) return refuse(`option ${name.toUpperCase()} of COPY`);
    if (said.has(name)) return refuse('conflicting or redundant options of COPY');
    said.set(name, option['arg'] === undefined ? 'true' : valueOf(option['arg']));
  }
  const format = (said.get('format') ?? 'text').toLowerCase();
  if (format !== 'text' && format !== 'csv' && format !== 'binary') return refuse(`FORMAT ${format} of COPY`);
  if (!/^(?:utf-?8|unicode)$/i.test(said.get('encoding') ?? 'utf8')) return refuse('another ENCODING of COPY than UTF8');
  if (said.has('freeze') && isTrue(said.get('freeze'))) return refuse('option FREEZE of COPY');
  if (!/^stop$/i.test(said.get('on_error') ?? 'stop')) return refuse('option ON_ERROR of COPY');
  if (format === 'binary' && ['delimiter', 'null', 'header', 'quote', 'escape'].some((name) => said.has(name))) return refuse('options of COPY in BINARY mode');
  if (format === 'text' && (said.has('quote') || said.has('escape'))) return refuse('QUOTE or ESCAPE of COPY outside CSV mode');
  const quote = said.get('quote') ?? '"';
  const made: CopyFormat = { format, delimiter: said.get('delimiter') ?? (format === 'csv' ? ',' : '\t'), nullText: said.get('null') ?? (format === 'csv' ? '' : '\\N'), hasHeader: isTrue(said.get('header') ?? 'false'), quote, escape: said.get('escape') ?? quote };
  checkCharacters(made);
  return made;
}

const known: ReadonlySet<string> = new Set(['format', 'delimiter', 'null', 'header', 'quote', 'escape', 'encoding', 'freeze', 'on_error']);

function valueOf(node: unknown): string {
  const text = stringNode(node);
  if (text !== undefined) return text;
  const integer = nodeOf(node, 'Integer');
  if (integer !== undefined) return String(integer['ival'] ?? 0);
  const boolean = nodeOf(node, 'Boolean');
  return boolean === undefined ? refuse('option of COPY in this form') : String(boolean['boolval'] === true);
}

function isTrue(value: string | undefined): boolean {
  if (/^(?:true|on|1)$/i.test(value ?? '')) return true;
  return /^(?:false|off|0)$/i.test(value ?? '') ? false : refuse('HEADER of COPY in this form');
}

/** What PostgreSQL refuses itself is refused here as well, so that the rows mean one thing only. */
function checkCharacters({ format, delimiter, nullText, quote, escape }: CopyFormat): void {
  if ([delimiter, quote, escape].some((each) => !/^[\x01-\x7f]$/.test(each)) || /[\r\n]/.test(delimiter + nullText + quote + escape)) refuse('delimiter, NULL, quote or escape of COPY in this form');
  if (format === 'text' && /[\\.a-z0-9]/.test(delimiter)) refuse(`delimiter "${delimiter}" of COPY`);
  if (nullText.includes(delimiter)) refuse('delimiter of COPY in its NULL');
  if (format === 'csv' && (delimiter === quote || nullText.includes(quote))) refuse('quote of COPY in its delimiter or its NULL');
}
