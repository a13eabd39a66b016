/** Sets of GTIDs are what sets are: union, meet, difference and order agree with sets of plain numbers; positions are read back as they were written. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Cursor } from '../../../cdc/mysql/binlog/cursor.ts';
import { GtidSet } from '../../../cdc/mysql/binlog/gtid-set.ts';
import { MariadbGtidList } from '../../../cdc/mysql/binlog/mariadb-gtid-list.ts';
import { compareMysqlPositions, meetMysqlPositions, readPosition, uniteMysqlPositions, writePosition } from '../../../cdc/mysql/position.ts';
import type { MysqlPosition } from '../../../cdc/mysql/position.ts';

const sources = ['3e11fa47-71ca-11e1-9e33-c80aa9429562', '3e11fa47-71ca-11e1-9e33-c80aa9429562:blue', 'aaaaaaaa-71ca-11e1-9e33-c80aa9429562'];
/** `source:number`, few enough that sets meet. */
const members = fc.uniqueArray(fc.tuple(fc.constantFrom(...sources), fc.integer({ min: 1, max: 12 })).map(([source, number]) => `${source}|${number}`), { maxLength: 30 });

function setOf(list: Iterable<string>): GtidSet {
  const set = new GtidSet();
  for (const member of list) {
    const [source = '', number = ''] = member.split('|');
    set.add(source, BigInt(number));
  }
  return set;
}

const domains = fc.dictionary(fc.constantFrom('0', '1', '7'), fc.integer({ min: 0, max: 9 }), { maxKeys: 3 });

function listOf(last: Readonly<Record<string, number>>): MariadbGtidList {
  const list = new MariadbGtidList();
  for (const [domain, sequence] of Object.entries(last)) list.set({ domain: Number(domain), server: 1, sequence: BigInt(sequence) });
  return list;
}

function gtidPosition(gtidSet: string, binlogPosition = 4): MysqlPosition {
  return { type: 'mysql_gtid', gtidSet, binlogFile: 'binlog.000001', binlogPosition };
}

describe('sets of GTIDs', () => {
  test('are sets', () => {
    fc.assert(fc.property(members, members, (first, second) => {
      const [a, b] = [setOf(first), setOf(second)];
      const text = (list: Iterable<string>): string => setOf(list).toString();
      expect(a.union(b).toString()).toBe(text([...first, ...second]));
      expect(a.meet(b).toString()).toBe(text(first.filter((member) => second.includes(member))));
      expect(a.minus(b).toString()).toBe(text(first.filter((member) => !second.includes(member))));
      expect(a.contains(b)).toBe(second.every((member) => first.includes(member)));
      for (const member of [...first, ...second]) {
        const [source = '', number = ''] = member.split('|');
        expect(a.has(source, BigInt(number))).toBe(first.includes(member));
      }
    }));
  });

  test('are read back from their text and from their bytes', () => {
    fc.assert(fc.property(members, (list) => {
      const set = setOf(list);
      expect(GtidSet.parse(set.toString()).toString()).toBe(set.toString());
      const bytes = set.encode();
      expect(GtidSet.decode(new Cursor().point(bytes, 0, bytes.length)).toString()).toBe(set.toString());
    }));
  });

  test('are read as servers and people write them, and nothing else is', () => {
    expect(GtidSet.parse(' 3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5:7,\n3e11fa47-71ca-11e1-9e33-c80aa9429562:6:blue:2 ').toString()).toBe(`${sources[0]}:1-7:blue:2`);
    expect(GtidSet.parse(`${sources[0]}:9223372036854775806`).has(sources[0] ?? '', 9_223_372_036_854_775_806n)).toBe(true);
    for (const text of ['x', '3e11fa47:1', `${sources[0]}`, `${sources[0]}:0`, `${sources[0]}:5-3`, `${sources[0]}:1-`, `${sources[0]}:9tag:1`]) expect(() => GtidSet.parse(text)).toThrow(RangeError);
  });
});

describe("MariaDB's positions", () => {
  test('are ordered by domain', () => {
    fc.assert(fc.property(domains, domains, (first, second) => {
      const [a, b] = [listOf(first), listOf(second)];
      expect(a.union(b).contains(a)).toBe(true);
      expect(a.contains(a.meet(b))).toBe(true);
      expect(b.contains(a.meet(b))).toBe(true);
      expect(a.contains(b)).toBe(Object.entries(second).every(([domain, sequence]) => (first[domain] ?? -1) >= sequence));
      expect(MariadbGtidList.parse(a.toString()).toString()).toBe(a.toString());
    }));
    const [ours, theirs] = [MariadbGtidList.parse('0-1-9'), MariadbGtidList.parse('0-2-9')];
    expect([ours.contains(theirs), theirs.contains(ours)]).toEqual([false, false]);
    for (const text of ['1-2', '0-1-2,0-1-3', 'a-b-c', '0-1--2']) expect(() => MariadbGtidList.parse(text)).toThrow(RangeError);
  });
});

describe('positions', () => {
  test('have a partial order, a meet and a union', () => {
    fc.assert(fc.property(members, members, (first, second) => {
      const [a, b] = [gtidPosition(setOf(first).toString()), gtidPosition(setOf(second).toString())];
      const forward = compareMysqlPositions(a, b);
      const backward = compareMysqlPositions(b, a);
      expect(backward).toBe(forward === undefined ? undefined : forward === 0 ? 0 : -forward);
      const [meet, union] = [meetMysqlPositions(a, b), uniteMysqlPositions(a, b)];
      for (const one of [a, b]) {
        expect([0, -1]).toContain(meet && compareMysqlPositions(meet, one));
        expect([0, 1]).toContain(union && compareMysqlPositions(union, one));
      }
    }));
  });

  test('by file count the file first, by its number', () => {
    const at = (binlogFile: string, binlogPosition: number): MysqlPosition => ({ type: 'mysql_binlog', binlogFile, binlogPosition });
    expect(compareMysqlPositions(at('b.000009', 900), at('b.000010', 4))).toBe(-1);
    expect(compareMysqlPositions(at('b.999999', 900), at('b.1000000', 4))).toBe(-1);
    expect(compareMysqlPositions(at('b.000009', 900), at('b.000009', 4))).toBe(1);
    expect(compareMysqlPositions(at('a.000009', 4), at('b.000009', 4))).toBeUndefined();
    expect(meetMysqlPositions(at('b.000009', 900), at('b.000009', 4))).toEqual(at('b.000009', 4));
  });

  test('of different kinds are not compared', () => {
    expect(compareMysqlPositions(gtidPosition(''), { type: 'mysql_binlog', binlogFile: 'binlog.000001', binlogPosition: 4 })).toBeUndefined();
    expect(meetMysqlPositions(gtidPosition(''), { type: 'mariadb_gtid', gtidList: '', binlogFile: 'binlog.000001', binlogPosition: 4 })).toBeUndefined();
  });

  test('are written as the specification has them, and read back', () => {
    const position = gtidPosition(`${sources[0]}:1-5`, 12_345);
    expect(writePosition(position)).toEqual({ type: 'mysql_gtid', gtid_set: `${sources[0]}:1-5`, binlog_file: 'binlog.000001', binlog_position: 12_345 });
    for (const one of [position, { type: 'mariadb_gtid', gtidList: '0-1-9', binlogFile: 'b.000001', binlogPosition: 9 }, { type: 'mysql_binlog', binlogFile: 'b.000001', binlogPosition: 9 }] satisfies MysqlPosition[]) {
      expect(readPosition(JSON.parse(JSON.stringify(writePosition(one))))).toEqual(one);
    }
    for (const bad of [null, {}, { type: 'mysql_gtid', gtid_set: 'x', binlog_file: 'b.1', binlog_position: 4 }, { type: 'mysql_binlog', binlog_file: 'b.1', binlog_position: -1 }, { type: 'postgresql_lsn', binlog_file: 'b.1', binlog_position: 1 }]) {
      expect(() => readPosition(bad)).toThrow(RangeError);
    }
  });
});
