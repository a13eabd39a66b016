/** Rows of SHOW MIGRATION HELP, made from the tables that the parser and the documents use. */
import { optionNames, optionTable } from './options.ts';
import type { OptionKind } from './option-kinds.ts';
import { serverOptionTable, userMappingOptionTable } from './server-options.ts';
import { statementTypes, syntaxTable } from './syntax.ts';

export interface HelpRow {
  readonly topic: string;
  /** A statement's form, or an option's values and default. */
  readonly syntax: string;
  readonly description: string;
}

/**
 * Without a topic every statement and one row that leads to the options; `options` lists every option; else the statements
 * that begin with or hold the topic's words, or the option of that name. Empty when nothing matches.
 */
export function helpRows(topic: string | undefined): readonly HelpRow[] {
  const wanted = topic?.trim().toLowerCase().replace(/\s+/g, ' ');
  if (wanted === undefined || wanted === '') {
    return [...statementRows(), { topic: 'OPTIONS', syntax: 'SHOW MIGRATION HELP OPTIONS', description: 'Every option with its values and default.' }];
  }
  if (wanted === 'options' || wanted === 'option') return optionRows();
  const statements = statementRows();
  const beginning = statements.filter((row) => `${bare(row.syntax)} `.startsWith(`${wanted} `) || row.topic.toLowerCase() === wanted);
  if (beginning.length > 0) return beginning;
  const options = optionRows().filter((row) => row.topic === wanted);
  if (options.length > 0) return options;
  const words = wanted.split(' ');
  return statements.filter((row) => words.every((word) => bare(row.syntax).split(' ').includes(word)));
}

function statementRows(): readonly HelpRow[] {
  return statementTypes.map((type) => {
    const { form, effect } = syntaxTable[type];
    return { topic: topicOf(form), syntax: form, description: effect };
  });
}

function optionRows(): readonly HelpRow[] {
  return [
    ...optionNames.map((key) => optionRow(optionTable[key], optionPlace[optionTable[key].place])),
    ...Object.values<OptionKind<unknown>>(serverOptionTable).map((kind) => optionRow(kind, 'CREATE/ALTER SERVER', false)),
    ...Object.values<OptionKind<unknown>>(userMappingOptionTable).map((kind) => optionRow(kind, 'CREATE/ALTER USER MAPPING', false)),
  ];
}

const optionPlace = { table: 'START MIGRATION FOR TABLE', start: 'START MIGRATION', source: 'START MIGRATION, MIGRATION SOURCE' } as const;

function optionRow(kind: OptionKind<unknown>, place: string, withDefault = true): HelpRow {
  const hasDefault = withDefault && kind.print(kind.default) !== "''";
  const fallback = hasDefault ? ` (default ${kind.print(kind.default)})` : '';
  return { topic: kind.name, syntax: `${kind.range}${fallback}`, description: `${kind.help} [${place}]` };
}

/** What a statement is called: the words of its form that are always there, `CREATE SERVER`, `SHOW MIGRATION WHY`. */
export function topicOf(form: string): string {
  const words = form.split(' ');
  const end = words.findIndex((word) => !/^[A-Z]+$/.test(word));
  return words.slice(0, end < 0 ? words.length : end).join(' ').replace(/( FOR)?( TABLE)?$/, '');
}

/** The form in lower case without its brackets. */
function bare(form: string): string {
  return form.toLowerCase().replace(/[^\w ]+/g, ' ').replace(/\s+/g, ' ').trim();
}
