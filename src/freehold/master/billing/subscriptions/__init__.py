"""What was ordered at which price: from quote and order to the last day, and budgets."""
