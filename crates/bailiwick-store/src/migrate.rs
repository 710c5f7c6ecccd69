//! Migrations: numbered SQL files, each applied once, in a transaction of its own.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::StoreError;

/// All migrations, in order: the first brings an empty file to version 1.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_events.sql"),
    include_str!("migrations/0002_quarantine_names.sql"),
];

/// Brings a database to the newest version.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    apply(connection, path, MIGRATIONS)
}

fn apply(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<(), StoreError> {
    let found: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(StoreError::database("read the version of"))?;
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    for (version, sql) in (1_i64..).zip(migrations).filter(|(version, _)| *version > found) {
        step(connection, version, sql)
            .map_err(|source| StoreError::Migration { version, source })?;
    }
    Ok(())
}

fn step(connection: &mut Connection, version: i64, sql: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(sql)?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> i64 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_failing_migration_leaves_the_version_before_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        let good = "CREATE TABLE one (x INTEGER);";
        let bad = "CREATE TABLE two (x INTEGER); INSERT INTO nowhere VALUES (1);";
        let error = apply(&mut connection, Path::new("x"), &[good, bad]).unwrap_err();
        assert!(matches!(error, StoreError::Migration { version: 2, .. }), "{error:?}");
        assert_eq!(version(&connection), 1);
        assert!(connection.prepare("SELECT x FROM two").is_err());
        // Mended, it goes on from where it was.
        apply(&mut connection, Path::new("x"), &[good, "CREATE TABLE two (x INTEGER);"]).unwrap();
        assert_eq!(version(&connection), 2);
    }

    #[test]
    fn migrations_are_applied_once_from_every_version() {
        for from in 0..=MIGRATIONS.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            apply(&mut connection, Path::new("x"), &MIGRATIONS[..from]).unwrap();
            migrate(&mut connection, Path::new("x")).unwrap();
            migrate(&mut connection, Path::new("x")).unwrap();
            assert_eq!(version(&connection), i64::try_from(MIGRATIONS.len()).unwrap());
        }
    }
}
