"""Those who buy: who pays for which project, what they paid, and what they were called when."""
