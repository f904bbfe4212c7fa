"""What was used, and what was promised and not kept, in money."""
