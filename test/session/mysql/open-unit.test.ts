/** Texts are told apart by one look at their beginning where that is enough, and by all of it where it is not: what is said of them is the same. */
import { describe, expect, test } from 'vitest';
import { OpenUnit } from '../../../src/session/mysql/open-unit.ts';
import { isControlText, readKill } from '../../../src/session/mysql/own-texts.ts';

const snapshot = { epoch: 1, tables: {}, views: {}, writeClosure: {} } as unknown as Parameters<OpenUnit['begins']>[1];
const clock = { monotonicMs: () => 1 } as ConstructorParameters<typeof OpenUnit>[0];

/** Whether the unit of a session goes on behind the statements, each outside of a transaction. */
function lastsAfter(texts: readonly string[]): boolean {
  const unit = new OpenUnit(clock);
  for (const text of texts) {
    unit.begins(['shop.item'], snapshot, text);
    unit.settle();
  }
  return unit.hasTouched('shop.item');
}

const fronts = ['', ' ', '\n\t', '/* why */ ', '-- why\n', '# why\n', 'SELECT 1; ', 'select a.b from c;\n/* and */ '];

describe('locks and branches outlast their statement', () => {
  test.each(['LOCK TABLES item READ', 'lock table item write', 'XA PREPARE "a"', 'Xa prepare \'b\',\'c\''])('%s', (text) => {
    for (const front of fronts) expect([front, lastsAfter([front + text, 'SELECT 1', 'INSERT INTO item VALUES (1)', 'STOP'])]).toEqual([front, true]);
  });

  test.each(['UNLOCK TABLES', 'unlock table', 'BEGIN', 'start  transaction read only', 'XA COMMIT "a"', 'xa rollback \'b\''])('until %s', (text) => {
    for (const front of fronts) expect([front, lastsAfter(['LOCK TABLES item READ', front + text])]).toEqual([front, false]);
  });

  test.each(['SELECT 1', 'STOP SLAVE', 'UNINSTALL PLUGIN x', 'LOAD DATA INFILE \'x\' INTO TABLE item', 'XA END "a"', 'lo', '', 'SELECT \'lock tables\'', '/*!40000 lock tables item write */'])('not %s', (text) => {
    expect(lastsAfter([text])).toBe(false);
    expect(lastsAfter(['LOCK TABLES item READ', text])).toBe(true);
  });
});

test('KILL of a connection or its query is told from every other text', () => {
  for (const front of ['', ' ', '\n', '\u00a0']) {
    expect(readKill(`${front}KILL 1073741825`)).toEqual({ kind: 'connection', id: 1073741825 });
    expect(readKill(`${front}kill soft query 7 ;`)).toEqual({ kind: 'query', id: 7 });
  }
  for (const text of ['SELECT 1', 'KILL', 'KILL USER app', 'KILL QUERY ID 7', 'kilo 7', '', 'Kelvin', '/* x */ kill 7']) expect(readKill(text)).toBeUndefined();
});

test('the catalog of migrations is the control\'s to answer, wherever its name stands', () => {
  const isControl = (text: string): boolean => isControlText(text, () => false);
  for (const text of ['SELECT * FROM SYS$MIGRATION_TABLES', ' select 1 from `sys$migration_history`', 'SELECT a,\n b FROM x JOIN Sys$Migration_states ON 1', 'SHOW MIGRATION STATUS']) expect(isControl(text)).toBe(true);
  for (const text of ['SELECT c FROM sbtest1 WHERE id=5', 'SELECT price FROM item WHERE note = \'$\'', 'SELECT sys_migration_x', 'INSERT INTO x SELECT * FROM sys$migration_tables']) expect(isControl(text)).toBe(false);
});
