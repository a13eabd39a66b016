/** The corpus files: one statement on a line, what is expected of it on lines before it. */
import * as fs from 'node:fs';
import * as path from 'node:path';

export interface CorpusEntry {
  readonly line: number;
  readonly sql: string;
  readonly parameters: readonly (string | null)[];
  /** Server kind, or `all` → what the refusal names. */
  readonly refused: ReadonlyMap<string, string>;
  /** Servers whose own answer is not to be compared with, by their bugs or by their versions; each has its reason in the file. */
  readonly notOn: ReadonlySet<string>;
  /** `everywhere`: both sides fail. `translated`: PostgreSQL runs it, the translation fails, since it cannot have that result. */
  readonly fails: 'everywhere' | 'translated' | undefined;
  /** Below a heading of what random statements found, or of ends: it proves a rule, and is not what anybody writes. */
  readonly isFound: boolean;
  /** The session's time zone; undefined: UTC. */
  readonly zone: string | undefined;
  /** What else the session has set; undefined: nothing. */
  readonly session?: SessionSettings | undefined;
}

/** `modes`: words of sql_mode beside those of strict mode, or without one of those (`-ONLY_FULL_GROUP_BY`). `divPrecision`: div_precision_increment. `collation`: collation_connection. */
export interface SessionSettings {
  readonly modes?: readonly string[];
  readonly divPrecision?: number;
  readonly collation?: string;
}

export function readDialectCorpus(name: string): readonly CorpusEntry[] {
  const entries: CorpusEntry[] = [];
  let notes: string[] = [];
  let isFound = false;
  for (const [index, line] of fs.readFileSync(path.join(import.meta.dirname, name), 'utf8').split('\n').entries()) {
    if (line.startsWith('## ')) isFound = line === '## Found by random statements' || line.startsWith('## Ends:');
    if (line.trim() === '' || line.startsWith('##')) continue;
    if (line.startsWith('-- ')) {
      notes.push(line.slice(3));
      continue;
    }
    entries.push({ ...entryOf(index + 1, line.replaceAll('\\n', '\n'), notes), isFound });
    notes = [];
  }
  return entries;
}

function entryOf(line: number, sql: string, notes: readonly string[]): Omit<CorpusEntry, 'isFound'> {
  const refused = new Map<string, string>();
  const notOn = new Set<string>();
  let parameters: readonly (string | null)[] = [];
  let fails: CorpusEntry['fails'];
  let zone: string | undefined;
  let session: SessionSettings | undefined;
  for (const note of notes) {
    const [, on, construct] = /^refused(?: on ([\w.-]+))?: (.*)$/.exec(note) ?? [];
    if (construct !== undefined) refused.set(on ?? 'all', construct);
    else if (note.startsWith('parameters: ')) parameters = note.slice(12).split(' | ').map((value) => (value === 'NULL' ? null : value === "''" ? '' : value));
    else if (/^not on [\w.-]+: ./.test(note)) notOn.add(note.slice(7, note.indexOf(':')));
    else if (note.startsWith('zone: ')) zone = note.slice(6);
    else if (note.startsWith('session: ')) session = JSON.parse(note.slice(9)) as SessionSettings;
    else if (note === 'fails') fails = 'everywhere';
    else if (note === 'fails when translated') fails = 'translated';
    else throw new Error(`line ${line}: ${note}`);
  }
  return { line, sql, parameters, refused, notOn, fails, zone, session };
}
