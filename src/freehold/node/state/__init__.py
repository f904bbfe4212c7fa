"""What a node remembers, in one SQLite file: `Store` is made of a part for each subject."""
