//! Faults to plant: each breaks one step of finding, placing or merging rows, so that a test can show that it
//! would be found. A release build has none of them.
//!
//! Must not: do anything but say whether a fault is planted.

#[cfg(debug_assertions)]
static PLANTED: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What can be broken on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Fault] = &[$(Fault::$name,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Fault::$name => stringify!($name),)* }
            }
        }
    };
}

faults! {
    /// The branches of an OR are taken for conjuncts.
    OrAsAnd,
    /// NOT is passed over.
    NotIgnored,
    /// `<>` is taken for `=`.
    NotEqualAsEqual,
    /// Of an IN list only the first value counts.
    InListFirst,
    /// `= ALL` is taken for `= ANY`.
    AllAsAny,
    /// The upper end of a range is left out.
    UpperEndExcluded,
    /// ON of an outer join restricts the side that is kept whole.
    OnRestrictsPreserved,
    /// Every outer join is taken for an inner one.
    OuterAsInner,
    /// FILTER of an aggregate restricts the rows.
    FilterRestricts,
    /// A condition in the select list restricts the rows.
    SelectListRestricts,
    /// The conditions of a subquery select the shards of the whole statement.
    SubqueryRestricts,
    /// Tables that are not joined on their keys are taken as joined.
    JoinUnlinked,
    /// Keys of different colocation groups are taken to lie together.
    GroupsMixed,
    /// A reference table is kept whole beside a sharded one, on every shard.
    PreservedEverywhere,
    /// A subquery sees the rows of its shard only: IN, EXISTS and their negations, scalars.
    SubqueryByShard,
    /// Set operations are done on every shard.
    SetByShard,
    /// Windows go over the rows of one shard.
    WindowByShard,
    /// Groups without the key are each shard's own.
    GroupByShard,
    /// DISTINCT is done on every shard, and not again.
    DistinctByShard,
    /// HAVING is judged on every shard.
    HavingByShard,
    /// LIMIT in a subquery is taken on every shard.
    LimitInSubquery,
    /// WITH TIES is taken on every shard.
    TiesByShard,
    /// Volatile functions are evaluated on every shard.
    VolatileByShard,
    /// Of averages the greatest is taken.
    AverageOfAverages,
    /// Counts of different values are added.
    DistinctCountsAdded,
    /// ORDER BY is not merged.
    OrderDropped,
    /// DESC is not looked at by the merge.
    DirectionIgnored,
    /// NULLS FIRST is not looked at by the merge.
    NullsIgnored,
    /// Texts are merged by their bytes, whatever their collation.
    CollationIgnored,
    /// Every shard leaves out OFFSET rows, and the merge again.
    OffsetByShard,
    /// Shards give LIMIT rows where OFFSET asks for more.
    OffsetNotAdded,
    /// The merge takes no account of LIMIT.
    LimitNotMerged,
    /// Columns that only the merge needs are shown.
    HelpersShown,
    /// Groups come in no order.
    GroupsUnsorted,
    /// Keys are hashed with another seed.
    WrongSeed,
    /// Only the first column of a key is hashed.
    FirstColumnHashed,
}

impl Fault {
    /// Plants the fault of this name, in a build that has faults.
    ///
    /// # Errors
    /// The name, where there is no such fault.
    pub fn plant(name: &str) -> Result<(), String> {
        let Some(at) = Fault::ALL.iter().position(|fault| fault.name() == name) else {
            return Err(name.to_owned());
        };
        #[cfg(debug_assertions)]
        PLANTED.store(u8::try_from(at + 1).unwrap_or(0), std::sync::atomic::Ordering::Relaxed);
        let _ = at;
        Ok(())
    }

    /// Whether any of them is planted.
    pub fn any_is_planted() -> bool {
        Fault::ALL.iter().any(|fault| fault.is_planted())
    }

    /// Whether it is planted.
    #[inline]
    pub fn is_planted(self) -> bool {
        #[cfg(debug_assertions)]
        {
            PLANTED.load(std::sync::atomic::Ordering::Relaxed) == self as u8 + 1
        }
        #[cfg(not(debug_assertions))]
        {
            false
        }
    }
}
