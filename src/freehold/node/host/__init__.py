"""What the machine gives: users, folders, addresses, facts."""
