"""One file per change of the tables, in the order that their names and `down_revision` tell."""
