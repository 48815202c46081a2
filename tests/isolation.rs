//! Two clients that share one server connection in transaction pooling see none of each other.
//!
//! Each case is a pair of clients, `a` and `b`, and what each must be answered. It runs twice: on plain
//! Postgres, where each client has a session of its own (so the expectations are Postgres's), and through
//! Howdah over a pool of one server connection, or of two where a client may keep its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use support::config::Config;
use support::eventually;
use support::message::{bind, copy_data, execute, flush, named, parse, query, sync};
use support::postgres::Postgres;
use support::proxy::Howdah;
use support::wire::Wire;

/// Where the clients of a case connect.
struct Place {
    port: u16,
    howdah: Option<Howdah>,
}

impl Place {
    fn postgres() -> Place {
        Place { port: Postgres::shared().port, howdah: None }
    }

    fn howdah(pool_size: u32) -> Place {
        Postgres::shared();
        let config = Config::new(&[Postgres::shared().port])
            .pool("size", pool_size)
            .pool("queue_timeout", "\"8s\"")
            .user("name = \"with_defaults\"");
        let howdah = Howdah::start(&config);
        Place { port: howdah.port, howdah: Some(howdah) }
    }

    fn client(&self) -> Wire {
        Wire::app(self.port)
    }

    fn client_with(&self, parameters: &[(&str, &str)]) -> Wire {
        Wire::login(self.port, &[&[("user", "app"), ("database", "app")], parameters].concat())
    }

    /// Through Howdah: the row of the pinned client in SHOW CLIENTS says why.
    fn says_pinned(&self, reason: &str) {
        let Some(howdah) = &self.howdah else { return };
        let rows = howdah.admin().run("SHOW CLIENTS").rows();
        let said = rows.iter().flatten().flatten().any(|cell| cell.to_lowercase().contains(reason));
        assert!(said, "no client is shown as pinned by {reason}: {rows:?}");
    }
}

/// Makes two tests of a case: on plain Postgres, and through Howdah over a pool of `$size`.
macro_rules! case {
    ($(#[$doc:meta])* $name:ident over $size:literal, |$place:ident| $body:block) => {
        $(#[$doc])*
        pub(crate) mod $name {
            use super::*;

            pub(crate) fn case($place: &Place) $body

            #[test]
            fn on_plain_postgres() {
                case(&Place::postgres());
            }

            #[test]
            fn through_howdah() {
                let place = Place::howdah($size);
                if $size == 1 {
                    let pids = [place.client().server_pid(), place.client().server_pid()];
                    assert_eq!(pids[0], pids[1], "the clients do not share a connection");
                }
                case(&place);
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, |$place:ident| $body:block) => {
        case! { $(#[$doc])* $name over 1, |$place| $body }
    };
}

/// `a` changes a setting by `change`; `b` sees the default, and `a` what it chose, both ways round.
fn a_setting_stays_with_its_client(place: &Place, change: &str, setting: &str, chosen: &str) {
    let (mut a, mut b) = (place.client(), place.client());
    let default = b.value(&format!("show {setting}"));
    assert_ne!(default, chosen);
    a.run(change);
    for _ in 0..2 {
        assert_eq!(b.value(&format!("show {setting}")), default);
        assert_eq!(a.value(&format!("show {setting}")), chosen);
    }
    let mut later = place.client();
    assert_eq!(later.value(&format!("show {setting}")), default);
    a.terminate();
    assert_eq!(later.value(&format!("show {setting}")), default);
}

#[path = "isolation/customs.rs"]
mod customs;
#[path = "isolation/leftovers.rs"]
mod leftovers;
#[path = "isolation/more.rs"]
mod more;
#[path = "isolation/pins.rs"]
mod pins;
#[path = "isolation/settings.rs"]
mod settings;
#[path = "isolation/statements.rs"]
mod statements;
#[path = "isolation/undone.rs"]
mod undone;
#[path = "isolation/unsettled.rs"]
mod unsettled;

use {customs::*, more::*, pins::*, settings::*, statements::*};

// Who waits for whom.

#[test]
fn a_transaction_keeps_its_server_connection_and_gives_it_back() {
    let place = Place::howdah(1);
    let (mut a, mut b) = (place.client(), place.client());
    a.run("begin");
    let pid = a.server_pid();
    b.send(&query("select pg_backend_pid()"));
    let waiting = b.event_within(std::time::Duration::from_millis(300));
    assert_eq!(waiting, support::wire::Event::TimedOut, "b must wait");
    assert_eq!(a.server_pid(), pid);
    a.run("commit");
    assert_eq!(b.reply().ok().value(), pid.to_string());
}

#[test]
fn a_pinned_client_lets_the_others_use_the_rest_of_the_pool() {
    let place = Place::howdah(2);
    let mut pinned = place.client();
    pinned.run("create temp table own (x int)");
    let pid = pinned.server_pid();
    for _ in 0..5 {
        let mut other = place.client();
        assert_ne!(other.server_pid(), pid);
        assert_eq!(pinned.server_pid(), pid);
    }
}

// These tests themselves.

type Case = fn(&Place);

#[test]
fn a_pooler_that_protects_nobody_is_found_out() {
    let cases: [(&str, Case); 28] = [
        ("set", set::case),
        ("set_config", set_by_set_config::case),
        ("function", set_inside_a_function::case),
        ("do", set_inside_a_do_block::case),
        ("time zone", time_zone::case),
        ("search_path", search_path::case),
        ("characteristics", session_characteristics::case),
        ("custom settings", custom_settings::case),
        ("role", role::case),
        ("session authorization", session_authorization::case),
        ("encoding", client_encoding::case),
        ("start-up parameters", startup_parameters::case),
        ("protocol statements", protocol_statements_of_one_name::case),
        ("SQL statements", sql_statements_of_one_name::case),
        ("deallocate all", deallocate_all_is_ones_own::case),
        ("pg_prepared_statements", the_view_of_prepared_statements::case),
        ("unnamed statements", unnamed_statements::case),
        ("temporary tables", temporary_tables::case),
        ("cursors", cursors_with_hold::case),
        ("advisory locks", advisory_locks::case),
        ("listen", listening::case),
        ("lastval", lastval_of_another::case),
        ("custom settings of transactions", custom_settings_of_transactions::case),
        ("custom settings by parameter", custom_settings_by_parameter::case),
        ("temporary functions", temporary_functions::case),
        ("advisory locks of views", advisory_locks_of_a_view_and_of_do::case),
        ("lastval of a default", lastval_where_a_default_advanced::case),
        ("notifications", a_client_knows_its_own_notifications::case),
    ];
    for (name, case) in cases {
        let place = Place { port: support::naive::start(Postgres::shared().port), howdah: None };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&place)));
        assert!(outcome.is_err(), "{name}: the case does not see what leaks");
    }
}
