//! Real Postgres servers for the tests: `howdah::throwaway` with the tests' users, database and settings.

use std::sync::{Mutex, OnceLock};

use howdah::throwaway::{Options, Server, Template};

use super::wire::Wire;

/// A server; user `app` is a superuser, and database `app` is empty.
#[derive(Debug)]
pub struct Postgres {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    server: Mutex<Server>,
}

fn options(config: &[&str]) -> Options {
    let mut lines = vec!["autovacuum = off".to_owned(), "shared_buffers = '32MB'".to_owned()];
    lines.extend(config.iter().map(|&line| line.to_owned()));
    Options { max_connections: 300, locale: "C.UTF-8".into(), config: lines, ..Options::default() }
}

impl Postgres {
    /// The server that all tests of this binary share, with `tests/corpus/fixture.sql` in database `app`.
    ///
    /// A static is never dropped: the server's guard ends it with this process.
    pub fn shared() -> &'static Postgres {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| {
            let postgres = Postgres::start();
            postgres.app().run(include_str!("../corpus/fixture.sql"));
            postgres
        })
    }

    /// A server of one's own.
    pub fn start() -> Postgres {
        Postgres::start_with(&[])
    }

    /// A server of one's own with further lines of postgresql.conf.
    pub fn start_with(config: &[&str]) -> Postgres {
        Postgres::start_in(config, "")
    }

    /// A server of one's own whose database `app` sorts by ICU's rules for English.
    pub fn start_icu() -> Postgres {
        Postgres::start_in(&[], " template template0 locale_provider icu icu_locale 'en-US' encoding 'UTF8'")
    }

    fn start_in(config: &[&str], database: &str) -> Postgres {
        static TEMPLATE: OnceLock<Template> = OnceLock::new();
        let template = TEMPLATE.get_or_init(|| Template::create(&options(&[])).unwrap());
        let options = options(config);
        let server = Server::start_from(template, &options).unwrap();
        let postgres = Postgres { port: server.port(), server: Mutex::new(server) };
        let mut root = postgres.session(&options.superuser, "postgres");
        root.run("create role app superuser login");
        root.run(&format!("create database app owner app{database}"));
        postgres
    }

    /// A direct session of user `app` in database `app`.
    pub fn app(&self) -> Wire {
        Wire::app(self.port)
    }

    /// A direct session.
    pub fn session(&self, user: &str, database: &str) -> Wire {
        Wire::login(self.port, &[("user", user), ("database", database)])
    }

    /// Kills the server with SIGKILL, as a machine that loses power does.
    pub fn kill9(&self) {
        self.server().kill9();
    }

    /// Starts the killed server again on its port.
    pub fn restart(&self) {
        self.server().restart().unwrap();
    }

    /// The main server process.
    pub fn pid(&self) -> u32 {
        self.server().process_id().unwrap()
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
