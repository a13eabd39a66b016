/**
 * A film rental database with the shape and the traits of MySQL's sample database Sakila: a ring of foreign keys, ENUM, SET, YEAR, a geometry with a
 * spatial index, pictures, ON UPDATE CURRENT_TIMESTAMP, triggers that fill columns and keep a table of texts, views, procedures and functions; and what
 * an operator does to it and on local before it can move.
 */
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';

export interface SakilaSize {
  readonly films: number;
  readonly customers: number;
  readonly rentals: number;
}

export const STORES = 2;
const LANGUAGES = 6;
const CATEGORIES = 16;
const ratings = ['G', 'PG', 'PG-13', 'R', 'NC-17'] as const;
export const features = ['Trailers', 'Commentaries', 'Deleted Scenes', 'Behind the Scenes'] as const;
export const ratingOf = (at: number): string => ratings[at % ratings.length] ?? 'G';

const touched = 'last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP';
const table = (name: string, body: string, engine = 'InnoDB'): string => `CREATE TABLE ${name} (${body}) ENGINE=${engine} DEFAULT CHARSET=utf8mb4`;
const reference = (name: string, column: string, parent: string, action = 'ON DELETE RESTRICT ON UPDATE CASCADE'): string => `CONSTRAINT ${name} FOREIGN KEY (${column}) REFERENCES ${parent} (${column}) ${action}`;

function tables(kind: MysqlKind): readonly string[] {
  // InnoDB of 5.6 has none.
  const spatial = kind === 'mysql-5.6' ? '' : ', SPATIAL KEY idx_location (location)';
  return [
    table('actor', `actor_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT, first_name VARCHAR(45) NOT NULL, last_name VARCHAR(45) NOT NULL, ${touched}, PRIMARY KEY (actor_id), KEY idx_actor_last_name (last_name)`),
    table('country', `country_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT, country VARCHAR(50) NOT NULL, ${touched}, PRIMARY KEY (country_id)`),
    table('city', `city_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT, city VARCHAR(50) NOT NULL, country_id SMALLINT UNSIGNED NOT NULL, ${touched}, PRIMARY KEY (city_id), KEY idx_fk_country_id (country_id), ${reference('fk_city_country', 'country_id', 'country')}`),
    table('address', `address_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT, address VARCHAR(50) NOT NULL, address2 VARCHAR(50) DEFAULT NULL, district VARCHAR(20) NOT NULL, city_id SMALLINT UNSIGNED NOT NULL, postal_code VARCHAR(10) DEFAULT NULL,
      phone VARCHAR(20) NOT NULL, location GEOMETRY NOT NULL, ${touched}, PRIMARY KEY (address_id), KEY idx_fk_city_id (city_id)${spatial}, ${reference('fk_address_city', 'city_id', 'city')}`),
    table('category', `category_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT, name VARCHAR(25) NOT NULL, ${touched}, PRIMARY KEY (category_id)`),
    table('language', `language_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT, name CHAR(20) NOT NULL, ${touched}, PRIMARY KEY (language_id)`),
    table('film', `film_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT, title VARCHAR(128) NOT NULL, description TEXT DEFAULT NULL, release_year YEAR DEFAULT NULL, language_id TINYINT UNSIGNED NOT NULL, original_language_id TINYINT UNSIGNED DEFAULT NULL,
      rental_duration TINYINT UNSIGNED NOT NULL DEFAULT 3, rental_rate DECIMAL(4,2) NOT NULL DEFAULT 4.99, length SMALLINT UNSIGNED DEFAULT NULL, replacement_cost DECIMAL(5,2) NOT NULL DEFAULT 19.99,
      rating ENUM('G','PG','PG-13','R','NC-17') DEFAULT 'G', special_features SET('Trailers','Commentaries','Deleted Scenes','Behind the Scenes') DEFAULT NULL, ${touched}, PRIMARY KEY (film_id), KEY idx_title (title),
      ${reference('fk_film_language', 'language_id', 'language')}, CONSTRAINT fk_film_language_original FOREIGN KEY (original_language_id) REFERENCES language (language_id) ON DELETE RESTRICT ON UPDATE CASCADE`),
    table('film_actor', `actor_id SMALLINT UNSIGNED NOT NULL, film_id SMALLINT UNSIGNED NOT NULL, ${touched}, PRIMARY KEY (actor_id, film_id), KEY idx_fk_film_id (film_id), ${reference('fk_film_actor_actor', 'actor_id', 'actor')}, ${reference('fk_film_actor_film', 'film_id', 'film')}`),
    table('film_category', `film_id SMALLINT UNSIGNED NOT NULL, category_id TINYINT UNSIGNED NOT NULL, ${touched}, PRIMARY KEY (film_id, category_id), ${reference('fk_film_category_film', 'film_id', 'film')}, ${reference('fk_film_category_category', 'category_id', 'category')}`),
    table('film_text', 'film_id SMALLINT UNSIGNED NOT NULL, title VARCHAR(255) NOT NULL, description TEXT, PRIMARY KEY (film_id), FULLTEXT KEY idx_title_description (title, description)', 'MyISAM'),
    table('store', `store_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT, manager_staff_id TINYINT UNSIGNED NOT NULL, address_id SMALLINT UNSIGNED NOT NULL, ${touched}, PRIMARY KEY (store_id), UNIQUE KEY idx_unique_manager (manager_staff_id), ${reference('fk_store_address', 'address_id', 'address')}`),
    table('staff', `staff_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT, first_name VARCHAR(45) NOT NULL, last_name VARCHAR(45) NOT NULL, address_id SMALLINT UNSIGNED NOT NULL, picture BLOB DEFAULT NULL, email VARCHAR(50) DEFAULT NULL, store_id TINYINT UNSIGNED NOT NULL,
      active BOOLEAN NOT NULL DEFAULT TRUE, username VARCHAR(16) NOT NULL, password VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL, ${touched}, PRIMARY KEY (staff_id), ${reference('fk_staff_store', 'store_id', 'store')}, ${reference('fk_staff_address', 'address_id', 'address')}`),
    'ALTER TABLE store ADD CONSTRAINT fk_store_staff FOREIGN KEY (manager_staff_id) REFERENCES staff (staff_id) ON DELETE RESTRICT ON UPDATE CASCADE',
    table('customer', `customer_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT, store_id TINYINT UNSIGNED NOT NULL, first_name VARCHAR(45) NOT NULL, last_name VARCHAR(45) NOT NULL, email VARCHAR(50) DEFAULT NULL, address_id SMALLINT UNSIGNED NOT NULL,
      active BOOLEAN NOT NULL DEFAULT TRUE, create_date DATETIME NOT NULL, last_update TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, PRIMARY KEY (customer_id), KEY idx_last_name (last_name), ${reference('fk_customer_address', 'address_id', 'address')}, ${reference('fk_customer_store', 'store_id', 'store')}`),
    table('inventory', `inventory_id MEDIUMINT UNSIGNED NOT NULL AUTO_INCREMENT, film_id SMALLINT UNSIGNED NOT NULL, store_id TINYINT UNSIGNED NOT NULL, ${touched}, PRIMARY KEY (inventory_id), KEY idx_store_id_film_id (store_id, film_id), ${reference('fk_inventory_store', 'store_id', 'store')}, ${reference('fk_inventory_film', 'film_id', 'film')}`),
    table('rental', `rental_id INT NOT NULL AUTO_INCREMENT, rental_date DATETIME NOT NULL, inventory_id MEDIUMINT UNSIGNED NOT NULL, customer_id SMALLINT UNSIGNED NOT NULL, return_date DATETIME DEFAULT NULL, staff_id TINYINT UNSIGNED NOT NULL, ${touched}, PRIMARY KEY (rental_id),
      UNIQUE KEY rental_date (rental_date, inventory_id, customer_id), ${reference('fk_rental_staff', 'staff_id', 'staff')}, ${reference('fk_rental_inventory', 'inventory_id', 'inventory')}, ${reference('fk_rental_customer', 'customer_id', 'customer')}`),
    table('payment', `payment_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT, customer_id SMALLINT UNSIGNED NOT NULL, staff_id TINYINT UNSIGNED NOT NULL, rental_id INT DEFAULT NULL, amount DECIMAL(5,2) NOT NULL, payment_date DATETIME NOT NULL,
      last_update TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, PRIMARY KEY (payment_id), ${reference('fk_payment_rental', 'rental_id', 'rental', 'ON DELETE SET NULL ON UPDATE CASCADE')}, ${reference('fk_payment_customer', 'customer_id', 'customer')}, ${reference('fk_payment_staff', 'staff_id', 'staff')}`),
  ];
}

/** Its tables, and what tells their rows apart. */
export const sakilaKeys: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(['actor', 'address', 'category', 'city', 'country', 'customer', 'film', 'inventory', 'language', 'payment', 'rental', 'staff', 'store'].map((name) => [name, [`${name}_id`]])),
  film_actor: ['actor_id', 'film_id'], film_category: ['film_id', 'category_id'], film_text: ['film_id'],
};

/** Rows that come back to the source have been through local's triggers already. */
const unlessApplied = (statement: string): string => `FOR EACH ROW BEGIN IF @causeway_applier IS NULL THEN ${statement} END IF; END`;

const triggers: readonly string[] = [
  `CREATE TRIGGER ins_film AFTER INSERT ON film ${unlessApplied('INSERT INTO film_text (film_id, title, description) VALUES (NEW.film_id, NEW.title, NEW.description);')}`,
  `CREATE TRIGGER upd_film AFTER UPDATE ON film ${unlessApplied('IF (OLD.title <> NEW.title) OR NOT (OLD.description <=> NEW.description) OR (OLD.film_id <> NEW.film_id) THEN UPDATE film_text SET title = NEW.title, description = NEW.description, film_id = NEW.film_id WHERE film_id = OLD.film_id; END IF;')}`,
  `CREATE TRIGGER del_film AFTER DELETE ON film ${unlessApplied('DELETE FROM film_text WHERE film_id = OLD.film_id;')}`,
  `CREATE TRIGGER customer_create_date BEFORE INSERT ON customer ${unlessApplied('SET NEW.create_date = NOW();')}`,
  `CREATE TRIGGER payment_date BEFORE INSERT ON payment ${unlessApplied('SET NEW.payment_date = NOW();')}`,
  `CREATE TRIGGER rental_date BEFORE INSERT ON rental ${unlessApplied('SET NEW.rental_date = NOW();')}`,
];

const routines: readonly string[] = [
  `CREATE FUNCTION inventory_in_stock(p_inventory_id INT) RETURNS BOOLEAN READS SQL DATA BEGIN DECLARE v_out INT; SELECT COUNT(*) INTO v_out FROM inventory i JOIN rental r USING (inventory_id) WHERE i.inventory_id = p_inventory_id AND r.return_date IS NULL; RETURN v_out = 0; END`,
  `CREATE FUNCTION get_customer_balance(p_customer_id INT) RETURNS DECIMAL(9,2) READS SQL DATA BEGIN DECLARE v_fees, v_paid DECIMAL(9,2);
     SELECT IFNULL(SUM(film.rental_rate), 0) INTO v_fees FROM film JOIN inventory USING (film_id) JOIN rental USING (inventory_id) WHERE rental.customer_id = p_customer_id;
     SELECT IFNULL(SUM(amount), 0) INTO v_paid FROM payment WHERE customer_id = p_customer_id; RETURN v_fees - v_paid; END`,
  `CREATE PROCEDURE film_in_stock(IN p_film_id INT, IN p_store_id INT, OUT p_film_count INT) READS SQL DATA BEGIN SELECT inventory_id FROM inventory WHERE film_id = p_film_id AND store_id = p_store_id AND inventory_in_stock(inventory_id);
     SELECT COUNT(*) INTO p_film_count FROM inventory WHERE film_id = p_film_id AND store_id = p_store_id AND inventory_in_stock(inventory_id); END`,
];

const views: readonly string[] = [
  "CREATE VIEW customer_list AS SELECT cu.customer_id AS ID, CONCAT(cu.first_name, ' ', cu.last_name) AS name, a.address AS address, city.city AS city, country.country AS country, IF(cu.active, 'active', '') AS notes, cu.store_id AS SID FROM customer cu JOIN address a ON cu.address_id = a.address_id JOIN city ON a.city_id = city.city_id JOIN country ON city.country_id = country.country_id",
  "CREATE VIEW film_list AS SELECT film.film_id AS FID, film.title AS title, category.name AS category, film.rating AS rating, GROUP_CONCAT(actor.last_name ORDER BY actor.actor_id SEPARATOR ', ') AS actors FROM film LEFT JOIN film_category ON film_category.film_id = film.film_id LEFT JOIN category ON category.category_id = film_category.category_id LEFT JOIN film_actor ON film.film_id = film_actor.film_id LEFT JOIN actor ON film_actor.actor_id = actor.actor_id GROUP BY film.film_id, film.title, category.name, film.rating",
  'CREATE VIEW sales_by_store AS SELECT s.store_id AS store_id, m.last_name AS manager, SUM(p.amount) AS total_sales FROM payment p JOIN rental r ON p.rental_id = r.rental_id JOIN inventory i ON r.inventory_id = i.inventory_id JOIN store s ON i.store_id = s.store_id JOIN staff m ON s.manager_staff_id = m.staff_id GROUP BY s.store_id, m.last_name',
];

/** The schema with rows, as it may be found anywhere: its table of texts in MyISAM. */
export async function makeSakila(server: TestMysql, { films, customers, rentals }: SakilaSize): Promise<void> {
  await server.createDatabase('sakila');
  const sql = (text: string): Promise<unknown> => server.sql(`SET foreign_key_checks = 0; ${text}`, 'sakila');
  await sql(tables(server.kind).join('; '));
  const fill = async (name: string, columns: string, count: number, row: (at: number) => string): Promise<void> => {
    for (let from = 0; from < count; from += 2000) await sql(`INSERT INTO ${name} (${columns}) VALUES ${Array.from({ length: Math.min(2000, count - from) }, (_, at) => `(${row(from + at + 1)})`).join(', ')}`);
  };
  const actors = Math.ceil(films / 5);
  const addresses = customers + 2 * STORES;
  const copies = films * 2;
  const day = (at: number): string => `'2005-05-24 22:53:30' + INTERVAL ${at} MINUTE`;
  await fill('actor', 'first_name, last_name', actors, (at) => `'Penélope ${at}', 'GUINESS${at % 37}'`);
  await fill('country', 'country', 20, (at) => `'Réunion ${at}'`);
  await fill('city', 'city, country_id', 60, (at) => `'A Coruña (La Coruña) ${at}', ${1 + (at % 20)}`);
  await fill('address', 'address, address2, district, city_id, postal_code, phone, location', addresses, (at) => `'${at} Hanoi Way', ${at % 3 === 0 ? 'NULL' : "''"}, 'Nagasaki', ${1 + (at % 60)}, '${35200 + at}', '28303384${at}', ST_GeomFromText('${at % 10 === 0 ? `POLYGON((0 0,0 ${at},${at} ${at},0 0))` : `POINT(${at / 8} -${at / 4})`}')`);
  await fill('category', 'name', CATEGORIES, (at) => `'Category ${at}'`);
  await fill('language', 'name', LANGUAGES, (at) => `'Language ${at}'`);
  await fill('film', 'title, description, release_year, language_id, original_language_id, rental_rate, length, rating, special_features', films,
    (at) => `'FILM ÉTÉ ${at}', ${at % 11 === 0 ? 'NULL' : `'An Epic Drama of ${'ß'.repeat(at % 40)} ${at}'`}, ${at % 9 === 0 ? '0000' : 1901 + (at % 250)}, ${1 + (at % LANGUAGES)}, ${at % 5 === 0 ? 1 : 'NULL'}, ${at % 5}.99, ${at % 7 === 0 ? 'NULL' : 46 + (at % 140)}, '${ratingOf(at)}', ${at % 16}`);
  await fill('film_actor', 'actor_id, film_id', films * 3, (at) => `${1 + ((Math.ceil(at / 3) + (at % 3) * 7) % actors)}, ${Math.ceil(at / 3)}`);
  await fill('film_category', 'film_id, category_id', films, (at) => `${at}, ${1 + (at % CATEGORIES)}`);
  await sql('INSERT INTO film_text SELECT film_id, title, description FROM film');
  await fill('store', 'manager_staff_id, address_id', STORES, (at) => `${at}, ${customers + at}`);
  await fill('staff', 'first_name, last_name, address_id, picture, email, store_id, username, password', STORES, (at) => `'Mike', 'Hillyer${at}', ${customers + STORES + at}, REPEAT(UNHEX('89504e470d0a1a0a00ff5c27'), 3000), 'm${at}@sakilastaff.com', ${at}, 'mike${at}', '8cb2237d0679ca88db6464eac60da96345513964'`);
  await fill('customer', 'store_id, first_name, last_name, email, address_id, active, create_date', customers, (at) => `${1 + (at % STORES)}, 'MARY', 'SMITH ${at}', ${at % 13 === 0 ? 'NULL' : `'mary.${at}@sakilacustomer.org'`}, ${at}, ${at % 20 === 0 ? 0 : 1}, '2006-02-14 22:04:36'`);
  await fill('inventory', 'film_id, store_id', copies, (at) => `${1 + (at % films)}, ${1 + (at % STORES)}`);
  await fill('rental', 'rental_date, inventory_id, customer_id, return_date, staff_id', rentals, (at) => `${day(at)}, ${1 + (at % copies)}, ${1 + (at % customers)}, ${at % 10 === 0 ? 'NULL' : day(at + 5000)}, ${1 + (at % STORES)}`);
  await fill('payment', 'customer_id, staff_id, rental_id, amount, payment_date', Math.min(rentals, 40_000), (at) => `${1 + (at % customers)}, ${1 + (at % STORES)}, ${at % 50 === 0 ? 'NULL' : at}, ${at % 12}.99, ${day(at)}`);
  for (const statement of [...triggers, ...routines, ...views]) await server.sql(statement, 'sakila');
}

/** What stands in the way and is the operator's to change, by the statements that the findings name. */
export async function repairSakila(server: TestMysql, remedies: readonly string[]): Promise<void> {
  const [key, ...others] = remedies.filter((remedy) => remedy.includes('CREATE TRIGGER'));
  if (others.length > 0 || (key === undefined) !== (server.kind === 'mysql-9.7')) throw new Error(`other findings about keys: ${remedies.join('; ')}`);
  for (const remedy of remedies.filter((each) => each.startsWith('ALTER TABLE'))) await server.sql(remedy, 'sakila');
  if (key === undefined) return;
  await server.sql('ALTER TABLE payment DROP FOREIGN KEY fk_payment_rental; ALTER TABLE payment ADD CONSTRAINT fk_payment_rental FOREIGN KEY (rental_id) REFERENCES rental (rental_id)', 'sakila');
  await server.sql(key.slice(key.indexOf('CREATE TRIGGER')), 'sakila');
}

/** Triggers and views of the source in local's language, which the cutover waits for; in one transaction they would deadlock with the applier. */
export function localBehaviour(kind: MysqlKind): readonly string[] {
  const trigger = (name: string, event: string, on: string, body: string): string => `CREATE FUNCTION sakila.${name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} END $$; CREATE TRIGGER ${name} ${event} ON sakila.${on} FOR EACH ROW EXECUTE FUNCTION sakila.${name}();`;
  return [
    trigger('ins_film', 'AFTER INSERT', 'film', 'INSERT INTO sakila.film_text (film_id, title, description) VALUES (NEW.film_id, NEW.title, NEW.description); RETURN NULL;'),
    trigger('upd_film', 'AFTER UPDATE', 'film', 'UPDATE sakila.film_text SET title = NEW.title, description = NEW.description, film_id = NEW.film_id WHERE film_id = OLD.film_id; RETURN NULL;'),
    trigger('del_film', 'AFTER DELETE', 'film', 'DELETE FROM sakila.film_text WHERE film_id = OLD.film_id; RETURN NULL;'),
    ...[['customer_create_date', 'customer', 'create_date'], ['payment_date', 'payment', 'payment_date'], ['rental_date', 'rental', 'rental_date']].map(([name = '', on = '', column = '']) => trigger(name, 'BEFORE INSERT', on, `NEW.${column} := date_trunc('second', localtimestamp); RETURN NEW;`)),
    ...(kind === 'mysql-9.7' ? [] : [trigger('fk_payment_rental_delete', 'BEFORE DELETE', 'rental', 'UPDATE sakila.payment SET rental_id = NULL WHERE rental_id = OLD.rental_id; RETURN OLD;')]),
    "CREATE VIEW sakila.customer_list AS SELECT cu.customer_id AS id, cu.first_name || ' ' || cu.last_name AS name, a.address, city.city, country.country, CASE WHEN cu.active THEN 'active' ELSE '' END AS notes, cu.store_id AS sid FROM sakila.customer cu JOIN sakila.address a USING (address_id) JOIN sakila.city ON a.city_id = city.city_id JOIN sakila.country ON city.country_id = country.country_id;",
    "CREATE VIEW sakila.film_list AS SELECT film.film_id AS fid, film.title, category.name AS category, film.rating, string_agg(actor.last_name, ', ' ORDER BY actor.actor_id) AS actors FROM sakila.film LEFT JOIN sakila.film_category USING (film_id) LEFT JOIN sakila.category USING (category_id) LEFT JOIN sakila.film_actor ON film.film_id = film_actor.film_id LEFT JOIN sakila.actor USING (actor_id) GROUP BY film.film_id, film.title, category.name, film.rating;",
    'CREATE VIEW sakila.sales_by_store AS SELECT s.store_id, m.last_name AS manager, sum(p.amount) AS total_sales FROM sakila.payment p JOIN sakila.rental r USING (rental_id) JOIN sakila.inventory i USING (inventory_id) JOIN sakila.store s ON i.store_id = s.store_id JOIN sakila.staff m ON s.manager_staff_id = m.staff_id GROUP BY s.store_id, m.last_name;',
  ];
}
