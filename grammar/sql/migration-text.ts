/** Tells statements of the migration language from SQL by their first words; `grammar/migration` then reads them. */
import { nextToken } from '../tokens.ts';

/** Second words that make the first one ours. Plain SQL has no statement that begins with any of these pairs, except the ones below. */
const secondWords: Readonly<Record<string, readonly string[]>> = {
  start: ['migration'], pause: ['migration'], resume: ['migration'], abort: ['migration'], validate: ['migration'],
  resync: ['migration'], complete: ['migration'], check: ['migration'], rollback: ['migration'],
  cutover: ['table', 'schema', 'group', 'all', 'migration'],
  create: ['migration', 'server', 'user'], alter: ['migration', 'server', 'user'], drop: ['migration', 'server', 'user'],
  show: ['migration', 'servers'],
  explain: ['route', 'cutover'],
};

/**
 * CREATE/ALTER/DROP SERVER and USER MAPPING are PostgreSQL's too: through the gateway they mean its own servers, except CREATE SERVER for
 * a foreign data wrapper other than `postgres`.
 */
export function isMigrationText(text: string): boolean {
  const first = wordAt(text, 0);
  const allowed = secondWords[first.word];
  if (allowed === undefined) return false;
  const second = wordAt(text, first.end);
  if (!allowed.includes(second.word)) return false;
  if (second.word === 'user') return wordAt(text, second.end).word === 'mapping';
  if (first.word === 'create' && second.word === 'server') return isOwnServer(text, second.end);
  // SHOW migration; alone is a parameter's name to the server, but nobody has one of that name.
  return true;
}

function isOwnServer(text: string, offset: number): boolean {
  let previous = '';
  for (let token = nextToken(text, offset); token.kind !== 'end' && token.kind !== 'bad'; token = nextToken(text, token.end)) {
    if (previous === 'wrapper') return token.text === 'postgres';
    previous = token.kind === 'word' ? token.text : '';
  }
  return true;
}

function wordAt(text: string, offset: number): { readonly word: string; readonly end: number } {
  const token = nextToken(text, offset);
  return token.kind === 'word' ? { word: token.text, end: token.end } : { word: '', end: token.end };
}
