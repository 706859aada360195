//! Tells Cargo what the macros of sqlx read beside the code: every crate with queries depends on this one, so all of
//! them are checked again when a migration, or what `.sqlx` says about a query, has changed.

fn main() {
    for input in ["migrations", ".sqlx"] {
        println!("cargo::rerun-if-changed=../{input}");
    }
    // `./dev prepare` has the macros ask a database, and write to another folder.
    println!("cargo::rerun-if-env-changed=SQLX_OFFLINE_DIR");
}
