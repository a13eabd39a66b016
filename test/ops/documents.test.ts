/**
 * Documents and code say the same: every statement, option, error code, metric and alert is in its document, and nothing is
 * there that does not exist.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { errorKinds } from '../../config/migration-error.ts';
import { cqlMetricList } from '../../config/cql/metric-list.ts';
import { metricList } from '../../config/metric-list.ts';
import { topicOf } from '../../grammar/migration/help.ts';
import type { OptionKind } from '../../grammar/migration/option-kinds.ts';
import { conflictStrategies, optionNames, optionTable } from '../../grammar/migration/options.ts';
import { parseMigration } from '../../grammar/migration/parse.ts';
import { isMigrationText } from '../../grammar/migration/recognise.ts';
import { serverOptionTable, userMappingOptionTable } from '../../grammar/migration/server-options.ts';
import { statementTypes, syntaxTable } from '../../grammar/migration/syntax.ts';
import { codeBlocks, readDocument, tableRows } from './document-table.ts';

describe('migration-language.md', () => {
  const document = readDocument('migration-language.md');

  test('every statement has a section of its name, with its form, and no other has', () => {
    const forms = statementTypes.map((type) => syntaxTable[type].form);
    expect(codeBlocks(document, '').toSorted()).toEqual(forms.toSorted());
    expect([...document.matchAll(/^### (.*)$/gm)].map(([, title]) => title).toSorted()).toEqual(forms.map(topicOf).toSorted());
  });

  test('every statement is shown with its effect and its example; every example is one', () => {
    for (const type of statementTypes) {
      expect(document).toContain(`\n${syntaxTable[type].effect}\n`);
      expect(codeBlocks(document, 'sql')).toContain(`${syntaxTable[type].example};`);
    }
    for (const block of codeBlocks(document, 'sql')) {
      expect(isMigrationText(block)).toBe(true);
      expect(parseMigration(block).length).toBeGreaterThan(0);
    }
  });

  test('every option with its values, default, place and effect', () => {
    const rows = tableRows(document, ['option', 'values', 'default', 'where', 'what it does', 'from']);
    expect(rows).toEqual(optionNames.map((key) => {
      const kind: OptionKind<unknown> = optionTable[key];
      const fallback = kind.print(kind.default);
      return [`\`${kind.name}\``, kind.range, fallback === "''" ? '' : `\`${fallback}\``, kind.place, kind.help, kind.from];
    }));
  });

  test.each([['Options of servers', serverOptionTable], ['Options of user mappings', userMappingOptionTable]] as const)('%s', (title, table) => {
    const kinds = Object.values<OptionKind<unknown>>(table);
    expect(tableRows(document, ['option', 'values', 'what it does'], title)).toEqual(kinds.map((kind) => [`\`${kind.name}\``, kind.range, kind.help]));
  });
});

describe('error-codes.md', () => {
  const document = readDocument('error-codes.md');

  test('the table is the list in the code', () => {
    expect(tableRows(document, ['code', 'SQLSTATE', 'category', 'retry', 'meaning'])).toEqual(Object.entries(errorKinds).map(([code, kind]) =>
      [`[${code}](#${code.toLowerCase()})`, `\`${kind.sqlstate}\``, kind.category, kind.retryable ? 'yes' : 'no', kind.summary]));
  });

  test('every code has a section with its cause and what to do', () => {
    const sections = document.split(/^## /m).slice(1).map((section) => section.trim().split('\n'));
    expect(sections.map(([title]) => title)).toEqual(Object.keys(errorKinds));
    for (const [code = '', , cause = '', , remedy] of sections) {
      const kind = Object.entries(errorKinds).find(([name]) => name === code)?.[1];
      expect(cause.startsWith(`${kind?.summary}. `)).toBe(true);
      expect(cause.length).toBeGreaterThan(`${kind?.summary}. `.length + 10);
      expect(remedy).toBe(`**What to do:** ${kind?.hint}`);
    }
  });

  test('every statement that a hint or a message names exists', () => {
    for (const kind of Object.values(errorKinds)) {
      for (const [, words = ''] of kind.hint.matchAll(/\b((?:[A-Z]{4,} ?){2,})/g)) {
        const topic = words.trim().replace(/( FOR)?( TABLE)?$/, '');
        expect(statementTypes.some((type) => syntaxTable[type].form.startsWith(topic)) || /^(OPTIONS|DETAIL|TIMEOUT|REPLICATION)/.test(topic), `${topic} in ${kind.hint}`).toBe(true);
      }
    }
  });
});

describe('metrics.md', () => {
  const document = readDocument('metrics.md');

  test('every metric with its type, labels and meaning', () => {
    const rows = [...tableRows(document, ['metric', 'type', 'labels', 'meaning'], 'Migrations'), ...tableRows(document, ['metric', 'type', 'labels', 'meaning'], 'Gateway')];
    expect(rows).toEqual(Object.entries(metricList).map(([name, { type, labels, help }]) => [`\`${name}\``, type, labels.map((label) => `\`${label}\``).join(', '), help]));
  });

  test('every metric of the CQL proxy', () => {
    expect(tableRows(document, ['metric', 'type', 'labels', 'meaning'], 'CQL proxy')).toEqual(Object.entries(cqlMetricList).map(([name, { type, labels, help }]) => [`\`${name}\``, type, labels.map((label) => `\`${label}\``).join(', '), help]));
  });

  test('every alert with its severity', () => {
    const file = path.resolve(import.meta.dirname, '../../config/deploy/prometheus-rules.yaml');
    const { groups } = parse(fs.readFileSync(file, 'utf8')) as { groups: { rules: { alert: string; labels: { severity: string } }[] }[] };
    const rules = groups.flatMap((group) => group.rules.map(({ alert, labels }) => [`\`${alert}\``, labels.severity]));
    expect(tableRows(document, ['alert', 'severity', 'fires when']).map(([alert, severity]) => [alert, severity])).toEqual(rules);
  });

  test('label values that the code fixes', () => {
    const resolution = tableRows(document, ['label', 'values']).find(([label]) => label === '`resolution`')?.[1] ?? '';
    for (const strategy of conflictStrategies) expect(resolution).toContain(`\`${strategy}\``);
  });
});
