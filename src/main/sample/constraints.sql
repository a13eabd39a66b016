-- Everything that is quicker to add once the rows are there: keys, checks, indexes, trigger, view, grants, comments.

ALTER TABLE categories ADD FOREIGN KEY (parent_id) REFERENCES categories;
ALTER TABLE products ADD UNIQUE (sku), ADD CHECK (price > 0), ADD FOREIGN KEY (category_id) REFERENCES categories;
ALTER TABLE product_documents ADD FOREIGN KEY (product_id) REFERENCES products ON DELETE CASCADE;
ALTER TABLE inventory ADD CHECK (quantity >= 0), ADD FOREIGN KEY (product_id) REFERENCES products;
ALTER TABLE customers ADD UNIQUE (email), ADD CHECK (credit_limit >= 0);
ALTER TABLE addresses ADD CHECK (kind IN ('billing', 'delivery')), ADD FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE;
ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers, ADD FOREIGN KEY (address_id) REFERENCES addresses ON DELETE SET NULL;
ALTER TABLE order_items ADD CHECK (quantity > 0), ADD FOREIGN KEY (order_id) REFERENCES orders ON DELETE CASCADE, ADD FOREIGN KEY (product_id) REFERENCES products;
ALTER TABLE payments ADD FOREIGN KEY (order_id) REFERENCES orders;
ALTER TABLE order_audit ADD FOREIGN KEY (order_id) REFERENCES orders ON DELETE CASCADE;
ALTER TABLE transfers ADD CHECK (amount > 0), ADD CHECK (from_account <> to_account),
  ADD FOREIGN KEY (from_account) REFERENCES accounts, ADD FOREIGN KEY (to_account) REFERENCES accounts;
ALTER TABLE order_write_log ADD FOREIGN KEY (order_id) REFERENCES orders, ADD FOREIGN KEY (customer_id) REFERENCES customers, ADD FOREIGN KEY (product_id) REFERENCES products;
ALTER TABLE account_write_log ADD FOREIGN KEY (account_id) REFERENCES accounts;
ALTER TABLE event_write_log ADD FOREIGN KEY (event_at, event_id) REFERENCES events (occurred_at, id);

CREATE INDEX products_category ON products (category_id);
CREATE INDEX products_attributes ON products USING gin (attributes);
CREATE INDEX customers_search_name ON customers (search_name text_pattern_ops);
CREATE INDEX customers_active ON customers (created_at) WHERE status = 'active';
CREATE INDEX addresses_customer ON addresses (customer_id);
CREATE INDEX orders_customer ON orders (customer_id, placed_at DESC);
CREATE INDEX orders_open ON orders (status) WHERE status IN ('placed', 'paid');
CREATE INDEX order_items_product ON order_items (product_id);
CREATE INDEX payments_order ON payments (order_id);
CREATE INDEX order_audit_order ON order_audit (order_id);
CREATE INDEX transfers_from ON transfers (from_account);
CREATE INDEX events_kind ON events (kind, occurred_at);
CREATE INDEX order_write_log_client ON order_write_log (run_id, client_id, seq);
CREATE INDEX account_write_log_client ON account_write_log (run_id, client_id, seq);
CREATE INDEX event_write_log_client ON event_write_log (run_id, client_id, seq);

CREATE FUNCTION audit_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO order_audit (order_id, old_status, new_status) VALUES (NEW.id, OLD.status, NEW.status);
  RETURN NULL;
END $$;
CREATE TRIGGER orders_audit AFTER UPDATE OF status ON orders
  FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION audit_order();

CREATE VIEW order_overview AS
  SELECT o.id, o.status, o.placed_at, o.total, c.name AS customer, c.email,
         (SELECT count(*) FROM order_items i WHERE i.order_id = o.id) AS items
    FROM orders o JOIN customers c ON c.id = o.customer_id;

COMMENT ON TABLE orders IS 'One row per order; status changes are audited by a trigger';
COMMENT ON COLUMN products.price_with_tax IS 'Computed: price and 19 %';
COMMENT ON COLUMN product_documents.body IS 'Stored out of line';
COMMENT ON VIEW order_overview IS 'What support sees';

GRANT USAGE ON SCHEMA public TO app, operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app;
GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO app;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO operator;
