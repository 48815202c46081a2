//! Why a client holds its server connection between transactions.

/// A set of reasons; empty means that the connection goes back to the pool at the transaction's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pins(u16);

impl Pins {
    /// A temporary table, view or sequence.
    pub const TEMP: Pins = Pins(1);
    /// LISTEN.
    pub const LISTEN: Pins = Pins(2);
    /// A session-level advisory lock.
    pub const ADVISORY: Pins = Pins(4);
    /// A cursor WITH HOLD.
    pub const HOLD: Pins = Pins(8);
    /// A setting changed in a way that cannot be replayed elsewhere.
    pub const SETTING: Pins = Pins(16);
    /// `setseed()`.
    pub const SEED: Pins = Pins(32);
    /// LOAD of a library, or a dblink connection.
    pub const LIBRARY: Pins = Pins(64);
    /// Code that may have left something in the session (DO, CALL, a function that sets things).
    pub const OPAQUE: Pins = Pins(128);
    /// The pooling mode is `session`.
    pub const SESSION: Pins = Pins(256);
    /// Every reason.
    pub const ALL: Pins = Pins(511);

    const NAMES: [(Pins, &'static str); 9] = [
        (Pins::TEMP, "temp table"),
        (Pins::LISTEN, "listen"),
        (Pins::ADVISORY, "advisory lock"),
        (Pins::HOLD, "cursor with hold"),
        (Pins::SETTING, "setting"),
        (Pins::SEED, "setseed"),
        (Pins::LIBRARY, "library"),
        (Pins::OPAQUE, "opaque code"),
        (Pins::SESSION, "session pooling"),
    ];

    /// Whether DISCARD ALL ends all of them: not what code may have left that was not read (custom settings stay
    /// known), a seed, or a library.
    pub fn ends_with_discard_all(self) -> bool {
        !self.intersects(Pins(Pins::SETTING.0 | Pins::SEED.0 | Pins::LIBRARY.0 | Pins::OPAQUE.0))
    }

    fn intersects(self, other: Pins) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is no reason.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As a number.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// From a number that [`Self::bits`] gave.
    pub fn from_bits(bits: u16) -> Pins {
        Pins(bits)
    }

    /// Whether all of `other` are there.
    pub fn contains(self, other: Pins) -> bool {
        self.0 & other.0 == other.0
    }

    /// Adds reasons.
    pub fn insert(&mut self, other: Pins) {
        self.0 |= other.0;
    }

    /// Takes reasons away.
    pub fn remove(&mut self, other: Pins) {
        self.0 &= !other.0;
    }

    /// The reasons' names, for SHOW CLIENTS.
    pub fn describe(self) -> String {
        let names: Vec<&str> =
            Self::NAMES.iter().filter(|(pin, _)| self.contains(*pin)).map(|(_, name)| *name).collect();
        names.join(", ")
    }
}

impl std::ops::BitOr for Pins {
    type Output = Pins;

    fn bitor(self, other: Pins) -> Pins {
        Pins(self.0 | other.0)
    }
}
