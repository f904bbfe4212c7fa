"""Building releases, and forgetting them."""
