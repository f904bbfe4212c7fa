"""What keeps the node itself in order: limits, health, clean-up, and the file that helps those who help."""
