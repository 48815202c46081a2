//! A setting of the model's, `x`: what it is now, and what it goes back to.

/// One setting through transactions.
#[derive(Default)]
pub struct Setting {
    default: u8,
    committed: u8,
    /// When the transaction ends well.
    session: u8,
    /// Now; SET LOCAL changes no more than this.
    pub now: u8,
}

impl Setting {
    /// With the value that the session starts with.
    pub fn new(default: u8) -> Self {
        Setting { default, committed: default, session: default, now: default }
    }

    /// Runs a SET or RESET of it; `false`: it is something else.
    pub fn run(&mut self, sql: &str) -> bool {
        let plain = sql.to_lowercase().replace(['"', '\''], "");
        let value = |text: &str| text.parse().expect("a small number");
        match plain.split(' ').collect::<Vec<_>>().as_slice() {
            ["set", "x", "to", text] => {
                self.session = value(text);
                self.now = self.session;
            }
            ["set", "local", "x", "to", text] => self.now = value(text),
            ["reset", "x" | "all"] => {
                self.session = self.default;
                self.now = self.default;
            }
            _ => return false,
        }
        true
    }

    /// The transaction ends well.
    pub fn commit(&mut self) {
        self.committed = self.session;
        self.now = self.session;
    }

    /// It ends otherwise.
    pub fn roll_back(&mut self) {
        self.session = self.committed;
        self.now = self.committed;
    }
}
