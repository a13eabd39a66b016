/** Reads what the documents of `docs/` say, so that tests can hold it against the code. */
import * as fs from 'node:fs';
import * as path from 'node:path';

export function readDocument(name: string): string {
  return fs.readFileSync(path.resolve(import.meta.dirname, '../../docs', name), 'utf8');
}

/** Rows of the table whose header has exactly these columns, cells trimmed; throws when there is none. */
export function tableRows(document: string, header: readonly string[], under?: string): string[][] {
  const lines = document.slice(under === undefined ? 0 : document.indexOf(`\n## ${under}\n`)).split('\n');
  const start = lines.findIndex((line) => cells(line).join('|') === header.join('|'));
  if (start < 0) throw new Error(`no table with the columns ${header.join(', ')}`);
  const rest = lines.slice(start + 2);
  const end = rest.findIndex((line) => !line.startsWith('|'));
  return rest.slice(0, end < 0 ? rest.length : end).map(cells);
}

function cells(line: string): string[] {
  return line.split('|').slice(1, -1).map((cell) => cell.trim());
}

/** Contents of the fenced blocks of this language. */
export function codeBlocks(document: string, language: string): string[] {
  return [...document.matchAll(/^```(\w*)\n([\s\S]*?)\n```$/gm)].filter(([, found]) => found === language).map(([, , content = '']) => content);
}
