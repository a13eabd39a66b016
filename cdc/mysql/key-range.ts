/**
 * Ranges of a key in SQL that the key's index serves: MySQL does not use an index for `(a, b) > (x, y)`, so the comparison is written out.
 *
 * Bounds are literals of the column's own character set and collation, or it would be the literal that the index is compared under.
 */
import { isByteType, isCharacterType } from './column-type.ts';
import { mysqlName } from './query.ts';
import type { SourceColumn } from './source-column.ts';

export type KeyColumn = Pick<SourceColumn, 'name' | 'type' | 'charset' | 'collation'>;

function isNumbered(column: KeyColumn): boolean {
  return /^(?:enum|set|bit)$/.test(column.type.name);
}

/** SQL for the text of a key column by which `boundOf` finds its value again. */
export function keyText(column: KeyColumn): string {
  const name = mysqlName(column.name);
  if (isCharacterType(column.type) || isByteType(column.type)) return `HEX(${name})`;
  // An ENUM is ordered by its numbers.
  return isNumbered(column) ? `${name} + 0` : name;
}

export function boundOf(column: KeyColumn, text: string): string {
  if (isByteType(column.type)) return text === '' ? "''" : `0x${text}`;
  if (isCharacterType(column.type)) {
    const literal = text === '' ? `_${column.charset ?? 'utf8mb4'} ''` : `_${column.charset ?? 'utf8mb4'} 0x${text}`;
    return `${literal}${column.collation === undefined ? '' : ` COLLATE ${column.collation}`}`;
  }
  if (/int$|^(?:decimal|float|double|year|bit|enum|set)$/.test(column.type.name)) {
    if (!/^-?[0-9.]+(?:e[+-]?[0-9]+)?$/.test(text)) throw new RangeError(`not a number: ${text}`);
    return text;
  }
  return `'${text.replaceAll("'", "''")}'`;
}

function compared(column: KeyColumn): string {
  return isNumbered(column) ? `${mysqlName(column.name)} + 0` : mysqlName(column.name);
}

/** Rows behind the bound, or with `orEqual` at it too. */
export function keyAfter(columns: readonly KeyColumn[], bound: readonly string[], orEqual: boolean): string {
  return compare(columns, bound, '>', orEqual);
}

export function keyBefore(columns: readonly KeyColumn[], bound: readonly string[], orEqual: boolean): string {
  return compare(columns, bound, '<', orEqual);
}

function compare(columns: readonly KeyColumn[], bound: readonly string[], sign: '>' | '<', orEqual: boolean): string {
  const terms = columns.map((column, index) => ({ name: compared(column), value: boundOf(column, bound[index] ?? '') }));
  const alternatives = terms.map(({ name, value }, index) => {
    const equal = terms.slice(0, index).map((term) => `${term.name} = ${term.value}`);
    const isLast = index === terms.length - 1;
    return `(${[...equal, `${name} ${sign}${isLast && orEqual ? '=' : ''} ${value}`].join(' AND ')})`;
  });
  const [first] = terms;
  if (first === undefined) return 'TRUE';
  if (terms.length === 1) return alternatives.join('');
  // Says the same of the first column alone: that is the range which the index is read by.
  return `(${first.name} ${sign}= ${first.value} AND (${alternatives.join(' OR ')}))`;
}
