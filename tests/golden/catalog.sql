-- The schema that tests/plan.rs plans against. After a change here:
-- HOWDAH_BLESS=1 cargo test --test catalog, which makes tests/golden/catalog.txt anew.
CREATE SCHEMA app;
CREATE TABLE customers (id bigint PRIMARY KEY, name text, email text);
CREATE TABLE orders (customer_id bigint REFERENCES customers (id) ON DELETE CASCADE, id bigint, total numeric(12, 2),
  note text, created timestamptz DEFAULT now(), PRIMARY KEY (customer_id, id));
CREATE TABLE order_lines (customer_id bigint, order_id bigint, line int, product_id int, quantity int,
  PRIMARY KEY (customer_id, order_id, line), FOREIGN KEY (customer_id, order_id) REFERENCES orders (customer_id, id));
CREATE TABLE events (customer_id int, at timestamptz, kind text) PARTITION BY RANGE (at);
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE accounts (aid int PRIMARY KEY, bid int, abalance int);
CREATE TABLE audited (customer_id bigint, note text);
CREATE TABLE tickets (customer_id bigint, id bigserial UNIQUE, note text);
CREATE TABLE numbered (customer_id bigint, id bigserial, note text);
CREATE TABLE textkeyed (k text PRIMARY KEY);
CREATE TABLE products (id int PRIMARY KEY, name text, price numeric);
CREATE TABLE archive (id int, note text);
CREATE TABLE logged (id int);
CREATE TABLE wishes (product_id int, customer_id bigint REFERENCES customers (id));
CREATE TABLE app.orders (id int);
CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';
CREATE FUNCTION touch(int) RETURNS int LANGUAGE plpgsql AS 'begin return 1; end';
CREATE FUNCTION doubled(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'select $1 * 2';
CREATE FUNCTION margin(products) RETURNS numeric LANGUAGE sql STABLE AS 'select 1.0';
CREATE TRIGGER spying BEFORE INSERT ON audited FOR EACH ROW EXECUTE FUNCTION spy();
CREATE TRIGGER spying BEFORE INSERT ON logged FOR EACH ROW EXECUTE FUNCTION spy();
CREATE VIEW order_totals AS SELECT customer_id, sum(total) FROM orders GROUP BY 1;
CREATE VIEW big_spenders AS SELECT * FROM order_totals WHERE sum > 1000;
CREATE MATERIALIZED VIEW order_count AS SELECT count(*) FROM orders;
CREATE VIEW product_names AS SELECT name FROM products;
CREATE VIEW touching AS SELECT touch(id) FROM products;
-- What runs a user function without its being named.
CREATE FUNCTION guard(int) RETURNS boolean LANGUAGE plpgsql AS 'begin return true; end';
CREATE DOMAIN guarded AS int CHECK (guard(VALUE));
CREATE DOMAIN filled AS int DEFAULT touch(0);
CREATE TYPE holder AS (g guarded);
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION to_pair(int) RETURNS pair LANGUAGE plpgsql AS 'begin return row(1, 2)::pair; end';
CREATE FUNCTION first_of(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'select ($1).a';
CREATE CAST (int AS pair) WITH FUNCTION to_pair(int) AS ASSIGNMENT;
CREATE FUNCTION pair_of_pairs(a int, b boolean DEFAULT guard(1)) RETURNS int LANGUAGE sql IMMUTABLE AS 'select $1';
CREATE FUNCTION alike(int, int) RETURNS boolean LANGUAGE plpgsql AS 'begin return true; end';
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = alike);
CREATE TABLE checked (id int, v int CHECK (guard(v)));
CREATE TABLE domained (id int, v guarded);
CREATE TABLE defaulted (id int, v filled);
CREATE TABLE paired (id int, p pair);
CREATE TABLE paired_arrays (id int, p pair[]);
CREATE TABLE computed (id int, v int GENERATED ALWAYS AS (pair_of_pairs(id)) STORED);
CREATE TABLE indexed (id int);
CREATE INDEX indexed_guarded ON indexed (pair_of_pairs(id));
CREATE INDEX orders_note ON orders (note);
CREATE VIEW casting AS SELECT id::guarded FROM products;
CREATE TABLE policed (customer_id bigint, note text);
CREATE POLICY readers ON policed USING (EXISTS (SELECT FROM products));
CREATE TABLE guarded_rows (customer_id bigint, v int CHECK (guard(v)));
-- Foreign keys whose actions write to further tables.
CREATE TABLE parents (customer_id bigint PRIMARY KEY);
CREATE TABLE orphans (customer_id bigint REFERENCES parents ON DELETE SET NULL, id int);
CREATE TABLE heads (customer_id bigint PRIMARY KEY, note text);
CREATE TABLE middles (customer_id bigint REFERENCES heads ON DELETE CASCADE, id int, PRIMARY KEY (customer_id, id));
CREATE TABLE leaves (customer_id bigint, id int, FOREIGN KEY (customer_id, id) REFERENCES middles);
CREATE TABLE tops (customer_id bigint, id int, note text, PRIMARY KEY (customer_id, id));
CREATE TABLE subs (customer_id bigint, id int, note int UNIQUE,
  FOREIGN KEY (customer_id, id) REFERENCES tops ON DELETE CASCADE ON UPDATE CASCADE);
