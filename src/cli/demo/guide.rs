//! What the demo prints when it is ready: how to connect, and what to try.

use std::fmt::Write;

/// A statement to try, and what it shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Example {
    pub(super) shows: &'static str,
    pub(super) sql: &'static str,
}

/// The statements that are printed; each works as printed, but for the last, which is refused.
pub(super) const EXAMPLES: [Example; 13] = [
    Example {
        shows: "one customer: the key names the shard, and only that one works",
        sql: "SELECT name, city, joined FROM customers WHERE id = 42;",
    },
    Example {
        shows: "tables sharded by the same key join on its shard, with all that SQL offers",
        sql: "SELECT o.id, o.placed::date, sum(l.quantity * l.price) AS total FROM orders o \
              JOIN order_lines l ON l.customer_id = o.customer_id AND l.order_id = o.id \
              WHERE o.customer_id = 42 GROUP BY o.id, o.placed ORDER BY o.placed;",
    },
    Example {
        shows: "no key: every shard is asked, and the rows come back as one; countries are on every shard",
        sql: "SELECT c.id, c.name, k.name AS country FROM customers c JOIN countries k ON k.code = c.country \
              WHERE c.country = 'IS';",
    },
    Example {
        shows: "joins on the key run on all shards side by side; their sorted rows are merged",
        sql: "SELECT c.name, o.placed, o.status FROM customers c JOIN orders o ON o.customer_id = c.id \
              ORDER BY o.placed DESC LIMIT 5;",
    },
    Example {
        shows: "aggregates are combined from every shard's part",
        sql: "SELECT count(*), sum(quantity), min(price), max(price), avg(price) FROM order_lines;",
    },
    Example { shows: "so are groups", sql: "SELECT status, count(*) FROM orders GROUP BY status;" },
    Example {
        shows: "products lie by a key of their own",
        sql: "SELECT name, price FROM products ORDER BY price DESC LIMIT 3;",
    },
    Example {
        shows: "old orders lie by month: a month is on one shard",
        sql: "SELECT count(*), sum(total) FROM order_archive WHERE placed >= '2019-12-01' AND placed < '2020-01-01';",
    },
    Example {
        shows: "the plan of a statement, and why it is so",
        sql: "EXPLAIN (howdah) SELECT country, count(*) FROM customers GROUP BY country;",
    },
    Example { shows: "writes go by the key, too", sql: "UPDATE customers SET city = 'Oslo' WHERE id = 42;" },
    Example {
        shows: "without a key they run on all shards, and commit on all of them or none",
        sql: "UPDATE customers SET email = lower(email) WHERE country = 'IS';",
    },
    Example {
        shows: "a table without a sharding rule lies whole on the first shard",
        sql: "SELECT code, percent FROM coupons ORDER BY code;",
    },
    Example {
        shows: "what cannot be answered exactly yet is refused, and says what to do",
        sql: "SELECT p.name, sum(l.quantity) FROM products p JOIN order_lines l ON l.product_id = p.id \
              GROUP BY p.name;",
    },
];

/// What there is to connect to.
#[derive(Clone, Debug)]
pub(super) struct Guide<'a> {
    /// The psql program as a shell finds it.
    pub(super) psql: &'a str,
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) database: &'a str,
    pub(super) port: u16,
    pub(super) shard_ports: &'a [u16],
    /// The folder that stays, if one does.
    pub(super) kept: Option<&'a str>,
}

impl Guide<'_> {
    /// The whole text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _written = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let shards = self.shard_ports.len();
        writeln!(text, "\nThe shop is open: {shards} Postgres servers that answer as one. Connect with\n")?;
        writeln!(text, "  {}\n", self.command(self.port, self.database))?;
        writeln!(text, "and try:\n")?;
        for Example { shows, sql } in EXAMPLES {
            writeln!(text, "  -- {shows}\n  {sql}\n")?;
        }
        writeln!(text, "Howdah about itself:\n")?;
        writeln!(text, "  {} -c 'SHOW POOLS'\n", self.command(self.port, "howdah"))?;
        writeln!(text, "The shards, to look behind it:\n")?;
        for port in self.shard_ports {
            writeln!(text, "  {}", self.command(*port, self.database))?;
        }
        match self.kept {
            Some(folder) => writeln!(text, "\nCtrl-C ends the demo; its data stay in {folder}."),
            None => writeln!(text, "\nCtrl-C ends the demo and removes all of it."),
        }
    }

    fn command(&self, port: u16, database: &str) -> String {
        let Guide { psql, user, password, .. } = self;
        format!("{psql} \"postgresql://{user}:{password}@127.0.0.1:{port}/{database}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_names_every_way_in_and_every_example() {
        let guide = Guide {
            psql: "psql",
            user: "shop",
            password: "shop",
            database: "shop",
            port: 6432,
            shard_ports: &[5001, 5002],
            kept: Some("/data/demo"),
        };
        let text = guide.text();
        assert!(text.contains("\n  psql \"postgresql://shop:shop@127.0.0.1:6432/shop\"\n"));
        assert!(text.contains("127.0.0.1:5002/shop"));
        assert!(text.contains("stay in /data/demo"));
        assert!(EXAMPLES.iter().all(|example| text.contains(example.sql) && example.sql.ends_with(';')));
    }
}
