/** LOAD DATA LOCAL INFILE, as far as its file can be read here: what stands in the way is named. */
import type { LoadData } from './mysql-tree.ts';
import type { MysqlRefused, MysqlTextMode } from './mysql-translation.ts';
import { parseMysql } from './parse-mysql.ts';
import { refuse, RefusedMysql } from './refused-mysql.ts';

const isLoad = /^(?:\s|\/\*(?![!M])[\s\S]*?\*\/|--\s[^\n]*\n|#[^\n]*\n)*load\s/i;

/** Undefined: another statement. */
export function readLoadData(text: string, mode: MysqlTextMode): LoadData | MysqlRefused | undefined {
  if (!isLoad.test(text)) return undefined;
  try {
    const load = parseMysql(text, mode)?.statement;
    return load?.type === 'load' ? served(load) : refuse('LOAD', 0);
  } catch (error) {
    if (error instanceof RefusedMysql) return { type: 'refused', construct: error.construct, place: error.place };
    throw error;
  }
}

function served(load: LoadData): LoadData {
  const { fields, lines, table: { place } } = load;
  if (!load.isLocal) refuse('LOAD DATA of a file of the server', place);
  if (load.replaces) refuse('LOAD DATA with REPLACE', place);
  if (fields.terminated === '' || lines.terminated === '') refuse('LOAD DATA of fields or lines of a fixed size', place);
  if (lines.starting !== '') refuse('LINES STARTING BY', place);
  if (fields.enclosed.length > 1 || fields.escaped.length > 1 || (fields.enclosed !== '' && fields.enclosed === fields.escaped)) refuse('these separators of LOAD DATA', place);
  // As bytes they would be another length than as characters.
  if (/[^\x00-\x7f]/.test([fields.terminated, fields.enclosed, fields.escaped, lines.terminated].join(''))) refuse('separators of LOAD DATA that are no ASCII', place);
  return load;
}
