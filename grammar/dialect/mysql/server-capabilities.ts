/** What the dialects of the tested versions have; the corpus of test/grammar/dialect runs on each of them. */
import type { DialectCapabilities } from './translation.ts';

export interface MysqlVersion {
  readonly isMariaDb: boolean;
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** `10.11.19-MariaDB-…`, `9.7.4`, `5.6.24-log`; undefined for a text that is none. */
export function parseMysqlVersion(text: string): MysqlVersion | undefined {
  const [, major, minor, patch] = /^(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined) return undefined;
  return { isMariaDb: /mariadb/i.test(text), major: Number(major), minor: Number(minor), patch: Number(patch) };
}

function isAtLeast(version: MysqlVersion, major: number, minor: number, patch = 0): boolean {
  return version.major * 1e6 + version.minor * 1e3 + version.patch >= major * 1e6 + minor * 1e3 + patch;
}

export function serverCapabilities(version: MysqlVersion): DialectCapabilities {
  const from = (major: number, minor: number, patch?: number): boolean => isAtLeast(version, major, minor, patch);
  const name = `${version.isMariaDb ? 'MariaDB' : 'MySQL'} ${version.major}.${version.minor}`;
  if (version.isMariaDb) {
    return {
      name, binaryCollation: from(10, 2) ? 'utf8mb4_nopad_bin' : undefined, commonTables: from(10, 2, 2), windows: from(10, 2, 2), lagDefault: false,
      exceptIntersect: from(10, 5), lateral: false, md5: true, insertReturning: from(10, 5), deleteReturning: from(10, 3, 1), skipLocked: from(10, 6), forShare: false,
      readsOwnTarget: from(10, 3, 2), rowAlias: false, simultaneousAssignment: from(10, 3, 5), json: from(10, 3) ? 'text' : 'none', subqueryCache: true, snapshotIsolation: from(10, 11, 8),
    };
  }
  return {
    name, binaryCollation: from(8, 0, 17) ? 'utf8mb4_0900_bin' : undefined, commonTables: from(8, 0, 11), windows: from(8, 0, 11), lagDefault: true,
    exceptIntersect: from(8, 0, 31), lateral: from(8, 0, 14), md5: !from(9, 0), insertReturning: false, deleteReturning: false, skipLocked: from(8, 0, 11), forShare: from(8, 0, 11),
    readsOwnTarget: false, rowAlias: from(8, 0, 19), simultaneousAssignment: false, json: from(8, 0, 17) ? 'type' : 'none', subqueryCache: false, snapshotIsolation: false,
  };
}

/**
 * Settings that the translated texts count on, for a connection without the flag CLIENT_FOUND_ROWS:
 * constants without backslash escapes, dates in UTC, quotients of 30 digits, text compared by code point, no silent cuts. ORDER BY looks at the first 1,024 bytes of a text
 * unless it is told to look at more, for which a buffer has to hold some of them. Behind its limit of iterations MariaDB answers with the rows of a WITH RECURSIVE that it has by then.
 */
export function sessionSettings(capabilities: DialectCapabilities): readonly string[] {
  const modes = [
    'STRICT_ALL_TABLES', 'NO_BACKSLASH_ESCAPES', 'ANSI_QUOTES', 'NO_AUTO_VALUE_ON_ZERO', 'NO_ENGINE_SUBSTITUTION', 'ERROR_FOR_DIVISION_BY_ZERO', 'NO_ZERO_DATE', 'NO_ZERO_IN_DATE',
    ...(capabilities.simultaneousAssignment ? ['SIMULTANEOUS_ASSIGNMENT'] : []),
  ];
  return [
    `SET NAMES utf8mb4 COLLATE ${capabilities.binaryCollation ?? 'utf8mb4_bin'}`,
    `SET SESSION sql_mode = '${modes.join(',')}', time_zone = '+00:00', div_precision_increment = 30, group_concat_max_len = 4294967295, lc_time_names = 'en_US', sql_safe_updates = 0, sql_select_limit = 18446744073709551615, sql_auto_is_null = 0, max_error_count = 1024`,
    'SET SESSION max_sort_length = 16384, sort_buffer_size = CAST(GREATEST(@@sort_buffer_size, 2097152) AS UNSIGNED)',
    'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
    ...(capabilities.commonTables ? [`SET SESSION ${capabilities.subqueryCache ? 'max_recursive_iterations' : 'cte_max_recursion_depth'} = 4294967295`] : []),
    ...(capabilities.subqueryCache ? ["SET SESSION optimizer_switch = 'subquery_cache=off'"] : []),
    ...(capabilities.snapshotIsolation ? ['SET SESSION innodb_snapshot_isolation = ON'] : []),
  ];
}
