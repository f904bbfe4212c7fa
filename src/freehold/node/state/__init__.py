"""What a node remembers, in one SQLite file: desired instances, results, the lease, and reports that wait."""
