"""The history of the tables: one file per change, run by `library.database` when it opens a database."""
