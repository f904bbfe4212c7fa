"""What needs whoever runs nodes, out of all rooms: it has no tables of its own, and changes nothing."""
