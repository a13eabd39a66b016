/** The table whose changes are read and applied, and its changes: half updates, three tenths inserts, two tenths deletes, in transactions of a given size. */
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';

const BASE_ROWS = 200_000;

const table = `CREATE TABLE item (id int PRIMARY KEY, quantity int NOT NULL, name varchar(100), price decimal(12,2), changed_at datetime(6), code binary(16), note text) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`;
const ten = Array.from({ length: 10 }, (_, digit) => `SELECT ${digit} AS d`).join(' UNION ALL ');

/** 1 to `count`, one row each, as column n. */
export function numbersUpTo(count: number): string {
  const digits = ['a', 'b', 'c', 'e', 'f', 'g', 'h', 'i'].slice(0, String(count - 1).length);
  const sum = digits.map((name, at) => `${10 ** at} * ${name}.d`).join(' + ');
  return `SELECT 1 + ${sum} AS n FROM ${digits.map((name) => `(${ten}) ${name}`).join(', ')} HAVING n <= ${count}`;
}

const fill = `INSERT INTO item SELECT n, n % 1000, CONCAT('item number ', n), n / 7.0, '2024-01-01' + INTERVAL n SECOND, UNHEX(LPAD(HEX(n), 32, 'a')), REPEAT('n', 40) FROM (${numbersUpTo(BASE_ROWS)}) AS numbers ORDER BY n`;

const workload = `CREATE PROCEDURE work(changes int, per_transaction int)
BEGIN
  DECLARE i int DEFAULT 0; DECLARE fresh int DEFAULT ${BASE_ROWS + 1}; DECLARE victim int DEFAULT ${BASE_ROWS + 1};
  START TRANSACTION;
  WHILE i < changes DO
    IF i % 10 < 5 THEN UPDATE item SET quantity = quantity + 1, price = price + 0.5, changed_at = NOW(6), note = CONCAT('changed ', i) WHERE id = 1 + (i * 7919) % ${BASE_ROWS};
    ELSEIF i % 10 < 8 THEN INSERT INTO item VALUES (fresh, i, CONCAT('new item ', i), i / 3.0, NOW(6), UNHEX(LPAD(HEX(i), 32, 'a')), REPEAT('x', 40)); SET fresh = fresh + 1;
    ELSE DELETE FROM item WHERE id = victim; SET victim = victim + 1;
    END IF;
    SET i = i + 1;
    IF i % per_transaction = 0 THEN COMMIT; START TRANSACTION; END IF;
  END WHILE;
  COMMIT;
END`;

/** The table fits into memory, and a backlog into one file. */
export function serverSettings(kind: MysqlKind): readonly string[] {
  return ['innodb-buffer-pool-size=512M', 'max-binlog-size=1G', ...(kind === 'mysql-5.6' ? [] : ['binlog-row-metadata=FULL'])];
}

export async function fillItems(server: TestMysql, database: string): Promise<void> {
  await server.sql(`${table}; ${fill}`, database);
  await server.sql(workload, database);
}

export async function changeItems(server: TestMysql, database: string, changes: number, perTransaction: number): Promise<void> {
  await server.sql(`CALL work(${changes}, ${perTransaction})`, database);
}
