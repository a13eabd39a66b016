// Which statements may leave a table with other columns.
import { expect, test } from 'vitest';
import { mayRedefine } from '../../../cdc/mysql/binlog/statement-kind.ts';

const redefines = (text: string): boolean => mayRedefine(text, 'shop', 'shop', 'orders');

test.each([
  'ALTER TABLE orders ADD COLUMN note text', 'ALTER TABLE `shop`.`orders` DROP note', 'RENAME TABLE orders TO old, fresh TO orders', 'DROP TABLE orders', 'CREATE OR REPLACE TABLE orders (id int)', 'ALTER TABLE orders ADD KEY (id), MODIFY id bigint', '/*!50100 ALTER TABLE orders DROP note */',
])('%s', (text) => expect(redefines(text)).toBe(true));

test.each([
  'CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW SET @a = 1', 'CREATE DEFINER=`root`@`localhost` TRIGGER t BEFORE INSERT ON orders FOR EACH ROW SET @a = 1', "CREATE DEFINER = 'a b'@'%' TRIGGER t AFTER DELETE ON orders FOR EACH ROW SET @a = 1",
  'CREATE OR REPLACE DEFINER=app TRIGGER t BEFORE INSERT ON orders FOR EACH ROW SET @a = 1', 'CREATE DEFINER=CURRENT_USER PROCEDURE p() DELETE FROM orders', 'DROP TRIGGER t', 'CREATE INDEX i ON orders (id)', 'CREATE OR REPLACE ALGORITHM=UNDEFINED DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW v AS SELECT id FROM orders', 'DROP VIEW orders', 'DROP TEMPORARY TABLE IF EXISTS orders', 'DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `orders`', 'ALTER TABLE orders AUTO_INCREMENT = 7', 'ALTER TABLE orders ADD KEY (id), DROP FOREIGN KEY f', 'TRUNCATE orders', 'ALTER TABLE customer ADD CONSTRAINT FOREIGN KEY (o) REFERENCES orders (id)',
])('not %s', (text) => expect(redefines(text)).toBe(false));
