//! The demo's data: a small web shop, the same at every run.
//!
//! Pure: a customer's orders follow from the customer's number alone, so that every shard can be filled by
//! itself and nothing is kept in memory.

use std::fmt::Write;

/// Customers, numbered from 1.
pub(super) const CUSTOMERS: u64 = 3000;
/// Products, numbered from 1.
pub(super) const PRODUCTS: u64 = 200;

/// Tables that lie on every shard: the reference table, and the sharded ones.
pub(super) const SCHEMA: &str = "
CREATE TABLE countries (
    code text PRIMARY KEY,
    name text NOT NULL
);
CREATE TABLE products (
    id       bigint PRIMARY KEY,
    name     text NOT NULL,
    category text NOT NULL,
    price    numeric(10,2) NOT NULL
);
CREATE TABLE order_archive (
    placed      timestamp NOT NULL,
    id          bigint NOT NULL,
    customer_id bigint NOT NULL,
    total       numeric(10,2) NOT NULL,
    PRIMARY KEY (placed, id)
);
CREATE TABLE customers (
    id      bigint PRIMARY KEY,
    name    text NOT NULL,
    email   text NOT NULL,
    city    text NOT NULL,
    country text NOT NULL REFERENCES countries,
    joined  date NOT NULL
);
CREATE TABLE orders (
    customer_id bigint NOT NULL REFERENCES customers,
    id          bigint NOT NULL,
    placed      timestamptz NOT NULL,
    status      text NOT NULL CHECK (status IN ('paid', 'shipped', 'delivered', 'returned')),
    PRIMARY KEY (customer_id, id)
);
CREATE TABLE order_lines (
    customer_id bigint NOT NULL,
    order_id    bigint NOT NULL,
    line        integer NOT NULL,
    product_id  bigint NOT NULL,
    quantity    integer NOT NULL CHECK (quantity > 0),
    price       numeric(10,2) NOT NULL,
    PRIMARY KEY (customer_id, order_id, line),
    FOREIGN KEY (customer_id, order_id) REFERENCES orders
);
";

/// The table without a rule: made on the home shard only.
pub(super) const HOME_SCHEMA: &str = "
CREATE TABLE coupons (
    code    text PRIMARY KEY,
    percent integer NOT NULL CHECK (percent BETWEEN 1 AND 50),
    until   date NOT NULL
);
INSERT INTO coupons VALUES ('SPRING', 10, '2026-05-31'), ('SUMMER', 15, '2026-08-31'), ('WELCOME', 5, '2027-12-31');
";
/// Rows of that table.
pub(super) const COUPONS: u64 = 3;

/// Orders that are archived, numbered from 1.
pub(super) const ARCHIVED: u64 = 3000;

/// The tables that are sharded by customer, in the order in which their foreign keys allow loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Customers,
    Orders,
    OrderLines,
}

impl Table {
    pub(super) const ALL: [Table; 3] = [Table::Customers, Table::Orders, Table::OrderLines];

    pub(super) fn name(self) -> &'static str {
        match self {
            Table::Customers => "customers",
            Table::Orders => "orders",
            Table::OrderLines => "order_lines",
        }
    }
}

const FIRST_NAMES: [&str; 32] = [
    "Ada", "Amir", "Anaïs", "Bela", "Carmen", "Chidi", "Dana", "Elif", "Emil", "Fatima", "Grace", "Hana",
    "Ingrid", "Ivan", "Jun", "Kofi", "Lena", "Luís", "Mei", "Miriam", "Nadia", "Noor", "Olga", "Pavel",
    "Priya", "Rosa", "Samuel", "Søren", "Tariq", "Uma", "Viktor", "Zoë",
];
const LAST_NAMES: [&str; 32] = [
    "Adeyemi",
    "Almeida",
    "Andersson",
    "Bauer",
    "Becker",
    "Castillo",
    "Cohen",
    "Demir",
    "Dubois",
    "Eriksen",
    "Ferrari",
    "García",
    "Haddad",
    "Horváth",
    "Ito",
    "Jansen",
    "Kaya",
    "Kowalska",
    "Larsen",
    "Mensah",
    "Moreau",
    "Müller",
    "Nakamura",
    "Nguyen",
    "Novák",
    "O'Brien",
    "Okafor",
    "Petrov",
    "Rossi",
    "Silva",
    "Tanaka",
    "Weiss",
];
/// City and country; Reykjavík comes up once in a while only, so that a query for it has a short answer.
const PLACES: [(&str, &str); 16] = [
    ("Amsterdam", "NL"),
    ("Barcelona", "ES"),
    ("Berlin", "DE"),
    ("Copenhagen", "DK"),
    ("Hamburg", "DE"),
    ("Istanbul", "TR"),
    ("Lagos", "NG"),
    ("Lisbon", "PT"),
    ("Lyon", "FR"),
    ("Madrid", "ES"),
    ("Milan", "IT"),
    ("Osaka", "JP"),
    ("Paris", "FR"),
    ("Prague", "CZ"),
    ("São Paulo", "BR"),
    ("Tokyo", "JP"),
];
/// Every country's code and name.
const COUNTRIES: [(&str, &str); 13] = [
    ("BR", "Brazil"),
    ("CZ", "Czechia"),
    ("DE", "Germany"),
    ("DK", "Denmark"),
    ("ES", "Spain"),
    ("FR", "France"),
    ("IS", "Iceland"),
    ("IT", "Italy"),
    ("JP", "Japan"),
    ("NG", "Nigeria"),
    ("NL", "Netherlands"),
    ("PT", "Portugal"),
    ("TR", "Türkiye"),
];
const MATERIALS: [&str; 10] =
    ["Ash", "Brass", "Canvas", "Ceramic", "Cork", "Glass", "Leather", "Linen", "Steel", "Wool"];
/// Thing, category, and the price in cents around which it is sold.
const THINGS: [(&str, &str, u64); 20] = [
    ("Armchair", "furniture", 39_900),
    ("Backpack", "bags", 8_900),
    ("Basket", "home", 2_900),
    ("Blanket", "home", 5_900),
    ("Bookend", "office", 1_900),
    ("Bottle", "kitchen", 2_400),
    ("Bowl", "kitchen", 1_800),
    ("Coat hook", "home", 900),
    ("Cushion", "home", 2_500),
    ("Desk lamp", "office", 7_900),
    ("Door mat", "home", 3_200),
    ("Jug", "kitchen", 3_400),
    ("Mug", "kitchen", 1_400),
    ("Notebook", "office", 1_200),
    ("Pen tray", "office", 2_200),
    ("Satchel", "bags", 12_900),
    ("Stool", "furniture", 11_900),
    ("Table", "furniture", 59_900),
    ("Vase", "home", 4_200),
    ("Wallet", "bags", 4_900),
];
/// 2016-01-01, in days since 1970-01-01.
const ARCHIVE_OPENED: u64 = 16_801;
/// 2021-01-01 and 2026-06-30, in days since 1970-01-01.
const OPENED: u64 = 18_628;
const TODAY: u64 = 20_634;
const SECONDS_PER_DAY: u64 = 86_400;

/// A stream of numbers that follows from its seed (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// At least `low`, less than `high`.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % high.saturating_sub(low).max(1)
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(usize::try_from(self.between(0, list.len() as u64)).unwrap_or(0))
    }
}

/// Appends the customer's rows of `table` in COPY's text format, and says how many.
pub(super) fn append_rows(table: Table, customer: u64, out: &mut String) -> u64 {
    let mut numbers = Numbers(customer);
    let joined = numbers.between(OPENED, TODAY);
    if table == Table::Customers {
        append_customer(customer, joined, &mut numbers, out);
        return 1;
    }
    let orders = numbers.between(0, 8);
    let mut rows = 0;
    for id in customer * 100 + 1..=customer * 100 + orders {
        let mut numbers = Numbers(id.wrapping_mul(0x1_0001));
        let lines = numbers.between(1, 7);
        if table == Table::Orders {
            append_order(customer, id, joined, &mut numbers, out);
            rows += 1;
        } else {
            append_lines(customer, id, lines, out);
            rows += lines;
        }
    }
    rows
}

fn append_customer(id: u64, joined: u64, numbers: &mut Numbers, out: &mut String) {
    let first = numbers.pick(&FIRST_NAMES).copied().unwrap_or_default();
    let last = numbers.pick(&LAST_NAMES).copied().unwrap_or_default();
    let (mut city, mut country) = numbers.pick(&PLACES).copied().unwrap_or_default();
    if numbers.between(0, 300) == 0 {
        (city, country) = ("Reykjavík", "IS");
    }
    let local: String = last.to_lowercase().chars().filter(char::is_ascii_alphabetic).collect();
    let date = date(joined);
    line(out, format_args!("{id}\t{first} {last}\t{local}.{id}@example.com\t{city}\t{country}\t{date}"));
}

fn append_order(customer: u64, id: u64, joined: u64, numbers: &mut Numbers, out: &mut String) {
    let seconds = numbers.between(joined * SECONDS_PER_DAY, (TODAY + 1) * SECONDS_PER_DAY);
    let day = seconds / SECONDS_PER_DAY;
    let status = match TODAY - day.min(TODAY) {
        0..=1 => "paid",
        2..=5 => "shipped",
        _ if numbers.between(0, 20) == 0 => "returned",
        _ => "delivered",
    };
    let (minutes, second) = (seconds % SECONDS_PER_DAY / 60, seconds % 60);
    let (date, hour, minute) = (date(day), minutes / 60, minutes % 60);
    line(out, format_args!("{customer}\t{id}\t{date} {hour:02}:{minute:02}:{second:02}+00\t{status}"));
}

fn append_lines(customer: u64, order: u64, lines: u64, out: &mut String) {
    let mut numbers = Numbers(order);
    for number in 1..=lines {
        let product = numbers.between(1, PRODUCTS + 1);
        let quantity = 1 + numbers.between(0, 16) / 12 * numbers.between(1, 6);
        let price = price(product);
        line(out, format_args!("{customer}\t{order}\t{number}\t{product}\t{quantity}\t{price}"));
    }
}

/// How many rows the whole shop has, over so many shards.
pub(super) fn rows(shards: u64) -> u64 {
    let mut text = String::new();
    let mut rows = PRODUCTS + ARCHIVED + COUPONS + shards * append_countries(&mut text);
    for table in Table::ALL {
        for customer in 1..=CUSTOMERS {
            text.clear();
            rows += append_rows(table, customer, &mut text);
        }
    }
    rows
}

/// Appends all countries in COPY's text format, and says how many.
pub(super) fn append_countries(out: &mut String) -> u64 {
    for (code, name) in COUNTRIES {
        line(out, format_args!("{code}\t{name}"));
    }
    COUNTRIES.len() as u64
}

/// Appends a product in COPY's text format.
pub(super) fn append_product(id: u64, out: &mut String) -> u64 {
    let (material, thing, category, _) = product(id);
    line(out, format_args!("{id}\t{material} {thing}\t{category}\t{}", price(id)));
    1
}

/// When an archived order was placed, in seconds since 1970-01-01: from 2016 to 2020.
pub(super) fn archived_at(id: u64) -> u64 {
    Numbers(id.wrapping_mul(0x5_0005)).between(ARCHIVE_OPENED, OPENED) * SECONDS_PER_DAY
        + id * 7919 % SECONDS_PER_DAY
}

/// Appends an archived order in COPY's text format.
pub(super) fn append_archived(id: u64, out: &mut String) -> u64 {
    let seconds = archived_at(id);
    let (date, minutes, second) =
        (date(seconds / SECONDS_PER_DAY), seconds % SECONDS_PER_DAY / 60, seconds % 60);
    let (hour, minute) = (minutes / 60, minutes % 60);
    let mut numbers = Numbers(id.wrapping_mul(0x3_0003));
    let customer = numbers.between(1, CUSTOMERS + 1);
    let cents = numbers.between(1_500, 90_000);
    let total = format!("{}.{:02}", cents / 100, cents % 100);
    line(out, format_args!("{date} {hour:02}:{minute:02}:{second:02}\t{id}\t{customer}\t{total}"));
    1
}

/// Every pair of material and thing once.
fn product(id: u64) -> (&'static str, &'static str, &'static str, u64) {
    let index = usize::try_from(id - 1).unwrap_or(0);
    let material = MATERIALS.get(index % MATERIALS.len()).copied().unwrap_or_default();
    let (thing, category, cents) =
        THINGS.get(index / MATERIALS.len() % THINGS.len()).copied().unwrap_or_default();
    (material, thing, category, cents)
}

/// The product's price, within a fifth of its kind's.
fn price(id: u64) -> String {
    let (_, _, _, cents) = product(id);
    let cents = cents * Numbers(id).between(80, 121) / 100;
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// A day since 1970-01-01, from then to 2099, as Postgres reads it.
fn date(mut day: u64) -> String {
    let mut year = 1970;
    let is_leap = |year: u64| year.is_multiple_of(4);
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", day + 1)
}

fn line(out: &mut String, row: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _written = writeln!(out, "{row}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn rows(table: Table) -> Vec<String> {
        let mut out = String::new();
        let counted: u64 = (1..=CUSTOMERS).map(|id| append_rows(table, id, &mut out)).sum();
        let rows: Vec<String> = out.lines().map(str::to_owned).collect();
        assert_eq!(counted, rows.len() as u64);
        rows
    }

    #[test]
    fn the_shop_has_about_fifty_thousand_rows_and_is_always_the_same() {
        let all: Vec<String> = Table::ALL.into_iter().flat_map(rows).collect();
        assert!((48_000..52_000).contains(&all.len()), "{}", all.len());
        let again: Vec<String> = Table::ALL.into_iter().flat_map(rows).collect();
        assert_eq!(all, again);
    }

    #[test]
    fn every_line_has_its_order_and_every_key_is_unique() {
        let keys = |table, columns: usize| {
            let rows = rows(table);
            let keys: BTreeSet<Vec<String>> =
                rows.iter().map(|row| row.split('\t').take(columns).map(str::to_owned).collect()).collect();
            assert_eq!(keys.len(), rows.len());
            keys
        };
        let orders = keys(Table::Orders, 2);
        let lines = keys(Table::OrderLines, 3);
        assert!(lines.iter().all(|line| orders.contains(&line[..2])));
        let with_lines: BTreeSet<&[String]> = lines.iter().map(|line| &line[..2]).collect();
        assert_eq!(with_lines.len(), orders.len());
    }

    #[test]
    fn customer_42_has_orders_and_a_few_live_in_iceland() {
        let mut out = String::new();
        assert!(append_rows(Table::Orders, 42, &mut out) >= 2, "the demo's queries ask for customer 42");
        let icelanders = rows(Table::Customers).iter().filter(|row| row.contains("Reykjavík")).count();
        assert!((3..20).contains(&icelanders), "{icelanders}");
    }

    #[test]
    fn products_have_names_of_their_own_and_a_price() {
        let mut out = String::new();
        (1..=PRODUCTS).for_each(|id| assert_eq!(append_product(id, &mut out), 1));
        let names: BTreeSet<&str> = out.lines().map(|row| row.split('\t').nth(1).unwrap()).collect();
        assert_eq!(names.len() as u64, PRODUCTS);
        assert!(out.lines().all(|row| !row.ends_with("\t0.00")));
    }

    #[test]
    fn every_customer_lives_in_a_country_of_the_list() {
        let codes: BTreeSet<&str> = COUNTRIES.iter().map(|(code, _)| *code).collect();
        for row in rows(Table::Customers) {
            assert!(codes.contains(row.split('\t').nth(4).unwrap()), "{row}");
        }
    }

    #[test]
    fn the_archive_ends_where_the_shop_begins() {
        let mut out = String::new();
        (1..=ARCHIVED).for_each(|id| assert_eq!(append_archived(id, &mut out), 1));
        let days: BTreeSet<&str> = out.lines().map(|row| row.split(' ').next().unwrap()).collect();
        assert!(*days.first().unwrap() >= "2016-01-01" && *days.last().unwrap() <= "2020-12-31");
    }

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(OPENED), "2021-01-01");
        assert_eq!(date(ARCHIVE_OPENED), "2016-01-01");
        assert_eq!(date(TODAY), "2026-06-30");
        assert_eq!(date(19_782), "2024-02-29");
        assert_eq!(date(19_722), "2023-12-31");
    }
}
