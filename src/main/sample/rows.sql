-- Rows of the sample, the same at every load: each value comes from a hash of its row's number. The setting `sample.scale` is
-- the factor to the row counts (1 = 360,000 order items).

CREATE FUNCTION pg_temp.scaled(rows numeric) RETURNS integer STABLE LANGUAGE sql AS
  $$ SELECT greatest(1, round(rows * current_setting('sample.scale')::numeric))::integer $$;
-- A number from 0 to below − 1.
CREATE FUNCTION pg_temp.pick(row_number bigint, salt integer, below integer) RETURNS integer IMMUTABLE LANGUAGE sql AS
  $$ SELECT ((hashint8extended(row_number, salt) & 9223372036854775807) % below)::integer $$;
CREATE FUNCTION pg_temp.product(row_number bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS
  $$ SELECT md5('product ' || row_number)::uuid $$;

INSERT INTO categories (id, parent_id, name, path)
SELECT n, CASE WHEN n > 8 THEN (n - 1) % 8 + 1 END, 'Category ' || n,
       CASE WHEN n > 8 THEN ARRAY['Category ' || (n - 1) % 8 + 1, 'Category ' || n] ELSE ARRAY['Category ' || n] END
  FROM generate_series(1, 40) n;

INSERT INTO products (id, category_id, sku, name, price, weight_kg, dimensions, attributes, is_active, updated_at)
SELECT pg_temp.product(n), 9 + pg_temp.pick(n, 1, 32), 'SKU-' || to_char(n, 'FM000000'), 'Product ' || n,
       1 + pg_temp.pick(n, 2, 50000) / 100.0, (1 + pg_temp.pick(n, 3, 4000)) / 128.0,
       ARRAY[1 + pg_temp.pick(n, 4, 200), 1 + pg_temp.pick(n, 5, 200), 1 + pg_temp.pick(n, 6, 200)],
       jsonb_build_object('colour', (ARRAY['red', 'green', 'blue', 'grün', '黒'])[1 + pg_temp.pick(n, 7, 5)], 'grade', 1.10, 'parts', jsonb_build_array(n, n + 1)),
       pg_temp.pick(n, 8, 20) > 0, timestamptz '2026-01-01 00:00Z' + n * interval '1 minute 0.123456 seconds'
  FROM generate_series(1, pg_temp.scaled(2000)) n;

-- 30 to 150 kB of text each, and a scan of 4 kB for every other one.
INSERT INTO product_documents (product_id, language, title, version, body, scan)
SELECT pg_temp.product(n), language, 'Manual of product ' || n, 1,
       (SELECT string_agg(md5(language || n || ':' || line), E'\n' ORDER BY line) FROM generate_series(1, 1000 + pg_temp.pick(n, 9, 3500)) line),
       CASE WHEN n % 2 = 0 THEN (SELECT string_agg(decode(md5('scan' || n || ':' || part), 'hex'), '' ORDER BY part) FROM generate_series(1, 256) part) END
  FROM generate_series(1, pg_temp.scaled(100)) n, unnest(ARRAY['en', 'de']) language;

INSERT INTO inventory (product_id, warehouse, quantity, counted_at)
SELECT pg_temp.product(n), warehouse, 1000000 + pg_temp.pick(n, 10 + warehouse, 1000), timestamptz '2026-06-30 18:00Z'
  FROM generate_series(1, pg_temp.scaled(2000)) n, generate_series(1, 2) warehouse;

INSERT INTO customers (id, email, name, status, tags, preferences, credit_limit, date_of_birth, avatar, created_at, updated_at)
SELECT n, 'customer' || n || '@example.com', (ARRAY['Ada', 'Grace', 'Zoë', 'Søren', 'Ngọc', '美咲'])[1 + pg_temp.pick(n, 20, 6)] || ' Number' || n,
       (enum_range(NULL::customer_status))[1 + pg_temp.pick(n, 21, 4)],
       CASE pg_temp.pick(n, 22, 3) WHEN 0 THEN '{}'::text[] WHEN 1 THEN ARRAY['new'] ELSE ARRAY['vip', 'with, comma', 'with "quote"'] END,
       jsonb_build_object('newsletter', pg_temp.pick(n, 23, 2) = 0, 'locale', (ARRAY['en', 'de', 'ja'])[1 + pg_temp.pick(n, 24, 3)], 'visits', pg_temp.pick(n, 25, 100)),
       pg_temp.pick(n, 26, 1000000) / 100.0, CASE WHEN pg_temp.pick(n, 27, 10) > 0 THEN date '1940-01-01' + pg_temp.pick(n, 28, 25000) END,
       CASE WHEN pg_temp.pick(n, 29, 4) = 0 THEN decode(md5('avatar' || n), 'hex') END,
       timestamptz '2024-01-01 00:00Z' + n * interval '17 minutes', timestamptz '2026-01-01 00:00Z'
  FROM generate_series(1, pg_temp.scaled(50000)) n;

INSERT INTO addresses (id, customer_id, kind, street, city, country, location)
SELECT n, 1 + (n - 1) % pg_temp.scaled(50000), CASE WHEN n > pg_temp.scaled(50000) THEN 'delivery' ELSE 'billing' END,
       pg_temp.pick(n, 30, 300) || ' Long Street', 'City ' || pg_temp.pick(n, 31, 500), (ARRAY['DE', 'FR', 'VN', 'JP'])[1 + pg_temp.pick(n, 32, 4)],
       point(pg_temp.pick(n, 33, 360) - 180, pg_temp.pick(n, 34, 180) - 90)
  FROM generate_series(1, pg_temp.scaled(60000)) n;

INSERT INTO order_items (order_id, item_no, product_id, quantity, unit_price, discount)
SELECT n, item, pg_temp.product(1 + pg_temp.pick(n * 8 + item, 40, pg_temp.scaled(2000))), 1 + pg_temp.pick(n * 8 + item, 41, 5),
       1 + pg_temp.pick(n * 8 + item, 42, 50000) / 100.0, pg_temp.pick(n * 8 + item, 43, 4) * 0.0525
  FROM generate_series(1, pg_temp.scaled(120000)) n, generate_series(1, 1 + (n % 5)::integer) item;

INSERT INTO orders (id, customer_id, address_id, status, total, note, delivery_window, placed_at, updated_at)
SELECT n, customer, CASE WHEN pg_temp.pick(n, 51, 5) > 0 THEN customer END, (enum_range(NULL::order_status))[1 + pg_temp.pick(n, 52, 5)],
       items.total, CASE WHEN pg_temp.pick(n, 53, 10) = 0 THEN 'Leave at door №' || n || E'\n(or ring)' END,
       CASE WHEN pg_temp.pick(n, 54, 3) = 0 THEN tstzrange(placed + interval '2 days', placed + interval '2 days 4 hours') END, placed, placed
  FROM generate_series(1, pg_temp.scaled(120000)) n
  CROSS JOIN LATERAL (SELECT 1 + pg_temp.pick(n, 50, pg_temp.scaled(50000)) AS customer, timestamptz '2025-01-01 00:00Z' + n * interval '4 minutes 0.000001 seconds' AS placed) chosen
  JOIN (SELECT order_id, round(sum(quantity * unit_price * (1 - discount)), 2) AS total FROM order_items GROUP BY order_id) items ON items.order_id = n;

INSERT INTO payments (id, order_id, method, amount, details, paid_at)
SELECT md5('payment ' || id)::uuid, id, (enum_range(NULL::payment_method))[1 + pg_temp.pick(id, 60, 3)], total,
       CASE WHEN pg_temp.pick(id, 61, 2) = 0 THEN jsonb_build_object('reference', md5('reference ' || id), 'fee', 0.30) END, placed_at + interval '3 minutes'
  FROM orders WHERE status IN ('paid', 'shipped', 'delivered');

INSERT INTO order_audit (order_id, old_status, new_status, changed_by, changed_at)
SELECT id, 'placed', status, 'app', placed_at + interval '3 minutes' FROM orders WHERE status <> 'placed';

INSERT INTO accounts (id, holder, balance, opened_on)
SELECT n, 'Holder ' || n, 1000, date '2020-01-01' + n % 1500 FROM generate_series(1, pg_temp.scaled(2000)) n;

INSERT INTO transfers (from_account, to_account, amount, booked_at)
SELECT 1 + pg_temp.pick(n, 70, pg_temp.scaled(2000)), 1 + pg_temp.pick(n, 71, pg_temp.scaled(2000)), (1 + pg_temp.pick(n, 72, 1000)) / 100.0,
       timestamptz '2026-01-01 00:00Z' + n * interval '1 minute'
  FROM generate_series(1, pg_temp.scaled(20000)) n WHERE pg_temp.pick(n, 70, pg_temp.scaled(2000)) <> pg_temp.pick(n, 71, pg_temp.scaled(2000));

INSERT INTO events (id, occurred_at, kind, subject_id, payload)
SELECT n, timestamptz '2026-01-01 00:00Z' + n * interval '4 minutes', (ARRAY['page_view', 'basket', 'login', 'search'])[1 + pg_temp.pick(n, 80, 4)],
       1 + pg_temp.pick(n, 81, pg_temp.scaled(50000)), jsonb_build_object('session', md5('session ' || n / 7), 'ms', pg_temp.pick(n, 82, 3000))
  FROM generate_series(1, pg_temp.scaled(100000)) n;

-- Rows that were given their numbers leave the sequences behind.
SELECT setval(pg_get_serial_sequence('customers', 'id'), (SELECT max(id) FROM customers)),
       setval(pg_get_serial_sequence('addresses', 'id'), (SELECT max(id) FROM addresses)),
       setval(pg_get_serial_sequence('orders', 'id'), (SELECT max(id) FROM orders)),
       setval(pg_get_serial_sequence('events', 'id'), (SELECT max(id) FROM events));
