"""Which copy of its own past this Master is: its generation, and what makes it doubt that it knows all."""
