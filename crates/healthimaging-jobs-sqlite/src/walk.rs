//! Every text of a file, whatever its tables are.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// Names of the tables of a database.
pub fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let tables = "SELECT name FROM sqlite_schema
                  WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    connection.prepare_cached(tables)?.query_map([], |row| row.get(0))?.collect()
}

/// Visits table, column and text of each value, except for those of the job of this id.
pub(crate) fn texts(
    connection: &Connection,
    except: &str,
    visit: &mut dyn FnMut(&str, &str, &str),
) -> rusqlite::Result<()> {
    for table in tables(connection)? {
        let of_others = match &*table {
            "job" => "WHERE id <> ?1",
            "job_item" => "WHERE job NOT IN (SELECT row FROM job WHERE id = ?1)",
            _ => "WHERE ?1 IS NOT NULL",
        };
        let mut statement =
            connection.prepare(&format!("SELECT * FROM \"{table}\" {of_others}"))?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([except])?;
        while let Some(row) = rows.next()? {
            for (number, column) in columns.iter().enumerate() {
                if let ValueRef::Text(text) | ValueRef::Blob(text) = row.get_ref(number)? {
                    visit(&table, column, &String::from_utf8_lossy(text));
                }
            }
        }
    }
    Ok(())
}
