SELECT 1; SELECT * FROM item ORDER BY id; SELECT * FROM kinds ORDER BY id\G
SELECT nothing;
INSERT INTO item (name) VALUES ('c1');
INSERT INTO item (name) VALUES ('c1');
SELECT CAST('x' AS SIGNED);
SHOW WARNINGS;
DELIMITER //
CREATE PROCEDURE made_here() BEGIN SELECT 1 AS a; SELECT 2 AS b; END//
CALL made_here()//
DROP PROCEDURE made_here//
DELIMITER ;
BEGIN; UPDATE item SET price = 7 WHERE name = 'c1'; SELECT price FROM item WHERE name = 'c1'; ROLLBACK; SELECT price FROM item WHERE name = 'c1';
DELETE FROM item WHERE name = 'c1';
SET @x = 3; SELECT @x * 2;
USE mysql
SELECT DATABASE();
USE shop
CALL fails(1);
CALL two_results(2, @out); SELECT @out;
SHOW CREATE TABLE item\G
DESCRIBE kinds;
SHOW TABLE STATUS LIKE 'nothing';
SELECT REPEAT('ab', 5), NULL, '', x'00ff', 'ß 漢字';
CREATE TEMPORARY TABLE t1 AS SELECT id FROM item; SELECT COUNT(*) FROM t1; DROP TABLE t1;
PREPARE s FROM 'SELECT ? + 1'; EXECUTE s USING @x; DEALLOCATE PREPARE s;
LOCK TABLES item READ; INSERT INTO item (name) VALUES ('locked'); UNLOCK TABLES;
CHECK TABLE item; OPTIMIZE TABLE audit;
SELECT * FROM information_schema.tables WHERE table_schema = 'nowhere';
