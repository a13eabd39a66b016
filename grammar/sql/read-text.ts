/** One client text to its facts, on whatever thread this runs. */
import { analyseParseTree } from './analyse.ts';
import { emptyFacts } from './facts-collector.ts';
import { namePlaces } from './name-places.ts';
import type { NamePlace } from './name-places.ts';
import { noUses, relationUses } from './relation-uses.ts';
import type { QueryUses } from './relation-uses.ts';
import { isMigrationText } from '../migration/recognise.ts';
import { serversNamed } from '../migration/server-names.ts';
import { isShareable } from './shareable.ts';
import type { MigrationFacts, TextFacts } from './statement-facts.ts';
import { listOf, treeOf } from './tree.ts';
import type { WasmParser } from './wasm-parser.ts';
import { withoutConstants } from './without-constants.ts';

/** Undefined: the parser overflowed and must be replaced; the text may be read where the stack is larger. */
export function readText(text: string, parser: WasmParser): TextFacts | undefined {
  if (text.trim() === '') return { type: 'sql', statements: [emptyFacts] };
  // The parser would stop at the NUL and judge half a text.
  if (text.includes('\0')) return { type: 'invalid', message: 'statement contains a NUL character' };
  if (!isMigrationText(text)) return readSql(text, parser);
  const names = serversNamed(text);
  if (names === undefined) return { type: 'migration' };
  const otherwise = readSql(text, parser);
  return otherwise && { type: 'migration', ofServers: { names, otherwise } };
}

function readSql(text: string, parser: WasmParser): Exclude<TextFacts, MigrationFacts> | undefined {
  const outcome = parser.parse(text);
  switch (outcome.type) {
    case 'tree': return { type: 'sql', statements: analyseParseTree(outcome.tree) };
    case 'syntax_error': return { type: 'invalid', message: outcome.message };
    case 'overflow': return undefined;
    default: return outcome satisfies never;
  }
}

/** Below it the tree is small enough. */
const withoutConstantsFrom = 128 * 1024;

/** As `readText`, for a text that may be many MB of constants. */
export function readLargeText(text: string, parser: WasmParser): TextFacts | undefined {
  const shorter = text.length < withoutConstantsFrom || isMigrationText(text) ? undefined : withoutConstants(text);
  if (shorter === undefined || shorter.length > text.length / 2) return readText(text, parser);
  const facts = readText(shorter, parser);
  // What is said of an error in it would be of a text that nobody has sent: only that there is one counts.
  return facts === undefined || facts.type === 'invalid' || isShareable(facts) ? facts : readText(text, parser);
}

/** Undefined: the parser overflowed and must be replaced. A text that it refuses has no places. */
export function readPlaces(text: string, parser: WasmParser): readonly NamePlace[] | undefined {
  return readTree(text, parser, namePlaces, []);
}

/** Undefined as for `readPlaces`. */
export function readUses(text: string, parser: WasmParser): QueryUses | undefined {
  return readTree(text, parser, relationUses, noUses);
}

/** The only statement of a text as its parser reads it; null where there is none, or more than one. Undefined as for `readPlaces`. */
export function readStatement(text: string, parser: WasmParser): unknown {
  return readTree(text, parser, (tree) => {
    const statements = listOf(treeOf(tree)?.['stmts']);
    return statements.length === 1 ? treeOf(statements[0])?.['stmt'] ?? null : null;
  }, null);
}

function readTree<T>(text: string, parser: WasmParser, read: (tree: unknown, bytes: Buffer) => T, ofNone: T): T | undefined {
  if (text.trim() === '' || text.includes('\0')) return ofNone;
  const outcome = parser.parse(text);
  switch (outcome.type) {
    case 'tree': return read(outcome.tree, Buffer.from(text));
    case 'syntax_error': return ofNone;
    case 'overflow': return undefined;
    default: return outcome satisfies never;
  }
}
