INSERT INTO account (owner, balance, kind, made) VALUES ('o1', 0.5, 'gold', '2024-02-29 12:00:00'), ('o2', 1, 'gold', NULL);
INSERT INTO account (owner, balance, kind) VALUES ('Ärger', 1.5, 'plain'), ('o2', 7, 'gold') RETURNING id, owner;
\set FETCH_COUNT 2
SELECT * FROM account ORDER BY id;
\unset FETCH_COUNT
SELECT kind, count(*), sum(balance) FROM account GROUP BY kind ORDER BY kind;
SELECT owner, balance FROM account WHERE owner = 'ÄRGER' \gdesc
\copy (SELECT id, owner FROM account WHERE id < 3 ORDER BY id) TO STDOUT
BEGIN;
UPDATE account SET balance = 0;
SAVEPOINT s;
DELETE FROM account;
ROLLBACK TO s;
SELECT count(*), sum(balance) FROM account;
ROLLBACK;
SELECT owner FROM account WHERE kind = 'gold' AND balance > 0.6 ORDER BY id \; SELECT 1 AS one;
PREPARE named AS SELECT owner FROM account WHERE id = $1;
EXECUTE named(1);
