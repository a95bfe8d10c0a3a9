//! The interfaces for the filter, which survive restarts.

use ipblock_policy::{AskedMode, ZoneName, mode::asked};

use super::{
    Store, StoreError,
    value::{Stored, Word},
};

impl Word for AskedMode {
    const WORDS: &'static [(Self, &'static str)] = asked::WORDS;
}

/// An interface for the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The mode that was asked for; what is really attached only the kernel knows.
    pub mode: AskedMode,
    /// Its zone.
    pub zone: ZoneName,
}

impl Store {
    /// Remembers an interface, and replaces any with the same name.
    pub fn add_interface(&self, interface: &Interface) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO interface VALUES (?1, ?2, ?3)",
                (
                    &interface.name,
                    Stored(interface.mode),
                    Stored(&interface.zone),
                ),
            )?;
            Ok(())
        })
    }

    /// Forgets an interface. Returns whether it was remembered.
    pub fn remove_interface(&self, name: &str) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let gone = transaction.execute("DELETE FROM interface WHERE name = ?1", [name])?;
            Ok(gone > 0)
        })
    }

    /// Returns every interface, by name.
    pub fn interfaces(&self) -> Result<Vec<Interface>, StoreError> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT name, mode, zone FROM interface ORDER BY name")?;
            let rows = statement.query_map([], |row| {
                let mode: Stored<AskedMode> = row.get(1)?;
                let zone: Stored<ZoneName> = row.get(2)?;
                Ok(Interface {
                    name: row.get(0)?,
                    mode: mode.0,
                    zone: zone.0,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}
