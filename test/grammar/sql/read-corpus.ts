import * as fs from 'node:fs';
import type { RelationRef, StatementFacts } from '../../../grammar/sql/statement-facts.ts';

/** One line of corpus.txt. Names as written there, sorted. */
export interface CorpusLine {
  readonly line: number;
  readonly sql: string;
  readonly expected: FactsSummary;
}

export interface FactsSummary {
  readonly kind: string;
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  readonly defines: readonly string[];
  readonly sequencesWritten: readonly string[];
  readonly sequencesRead: readonly string[];
  readonly functions: readonly string[];
  readonly flags: readonly string[];
}

export function readCorpus(): readonly CorpusLine[] {
  const lines = fs.readFileSync(new URL('./corpus.txt', import.meta.url), 'utf8').split('\n');
  return lines.flatMap((text, index) => (text === '' || text.startsWith('#') ? [] : [corpusLine(text, index + 1)]));
}

function corpusLine(text: string, line: number): CorpusLine {
  const at = text.indexOf(' :: ');
  const head = text.slice(0, at);
  const named = new Map<string, string[]>();
  for (const match of head.matchAll(/ ([RWDSCF])=(.*?)(?= [RWDSCF]=| !|$)/g)) named.set(match[1] ?? '', [...(named.get(match[1] ?? '') ?? []), ...(match[2] ?? '').split(',')]);
  const list = (letter: string): readonly string[] => (named.get(letter) ?? []).sort();
  return {
    line, sql: text.slice(at + 4),
    expected: {
      kind: head.split(' ')[0] ?? '', reads: list('R'), writes: list('W'), defines: list('D'),
      sequencesWritten: list('S'), sequencesRead: list('C'), functions: list('F'), flags: [...head.matchAll(/!(\w+)/g)].map((match) => match[1] ?? '').sort(),
    },
  };
}

/** `repeatability.test.ts`, and details of `analyse.test.ts`. */
const hasTestOfItsOwn: ReadonlySet<string> = new Set(['systemOnly', 'unrepeatable', 'orderDependent', 'ordered']);

export function summarise(facts: StatementFacts): FactsSummary {
  return {
    kind: facts.kind, reads: nameList(facts.reads), writes: nameList(facts.writes), defines: nameList(facts.ddl),
    sequencesWritten: nameList(facts.sequencesWritten), sequencesRead: nameList(facts.sequencesRead), functions: [...facts.functions].sort(),
    flags: Object.entries(facts.flags).flatMap(([flag, raised]) => (raised && !hasTestOfItsOwn.has(flag) ? [flag] : [])).sort(),
  };
}

export function nameList(relations: readonly RelationRef[]): readonly string[] {
  return relations.map((relation) => (relation.schema === undefined ? relation.name : `${relation.schema}.${relation.name}`)).sort();
}
