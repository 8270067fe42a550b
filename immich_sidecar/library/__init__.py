"""What we keep: rows and files."""
