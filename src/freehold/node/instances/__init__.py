"""The life of an instance on this machine: configured, started, stopped, destroyed, and what encloses it."""
