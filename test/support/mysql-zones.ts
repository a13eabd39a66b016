/** Time zones by name on a throw-away MySQL server, whose tables of zones are empty: what this process knows of them, from 1970 to 2037. */
import type { TestMysql } from './mysql-servers.ts';

interface Change {
  /** Seconds since 1970. */
  readonly at: number;
  /** From then on, in seconds. */
  readonly offset: number;
}

const DAY = 86_400;
const END = Date.UTC(2038, 0, 1) / 1000;

/** https://dev.mysql.com/doc/refman/8.4/en/time-zone-support.html */
export async function loadZones(server: Pick<TestMysql, 'sql'>, names: readonly string[]): Promise<void> {
  for (const [index, name] of names.entries()) {
    const id = index + 1;
    const changes = changesOf(name);
    const offsets = [...new Set(changes.map(({ offset }) => offset))];
    const least = Math.min(...offsets);
    const rows = (list: readonly string[]): string => list.map((row) => `(${row})`).join(', ');
    await server.sql(`SET sql_log_bin = 0; INSERT INTO mysql.time_zone (Time_zone_id, Use_leap_seconds) VALUES (${id}, 'N'); INSERT INTO mysql.time_zone_name (Name, Time_zone_id) VALUES ('${name}', ${id});
      INSERT INTO mysql.time_zone_transition_type (Time_zone_id, Transition_type_id, \`Offset\`, Is_DST, Abbreviation) VALUES ${rows(offsets.map((offset, type) => `${id}, ${type}, ${offset}, ${offset === least ? 0 : 1}, 'T${type}'`))};
      INSERT INTO mysql.time_zone_transition (Time_zone_id, Transition_time, Transition_type_id) VALUES ${rows(changes.map(({ at, offset }) => `${id}, ${at}, ${offsets.indexOf(offset)}`))}`);
  }
}

/** The first is the offset that holds in 1970. */
function changesOf(timeZone: string): readonly Change[] {
  const format = new Intl.DateTimeFormat('en-US', { timeZone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' });
  const offsetAt = (seconds: number): number => {
    const parts = Object.fromEntries(format.formatToParts(seconds * 1000).map(({ type, value }) => [type, Number(value)]));
    return Date.UTC(parts['year'] ?? 0, (parts['month'] ?? 1) - 1, parts['day'], parts['hour'], parts['minute'], parts['second']) / 1000 - seconds;
  };
  const changes: Change[] = [{ at: -DAY, offset: offsetAt(-DAY) }];
  for (let [from, offset] = [-DAY, offsetAt(-DAY)]; from < END; from += DAY) {
    const next = offsetAt(from + DAY);
    if (next === offset) continue;
    let [before, after] = [from, from + DAY];
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (offsetAt(middle) === offset) before = middle;
      else after = middle;
    }
    changes.push({ at: after, offset: next });
    offset = next;
  }
  return changes;
}
