"""The place where one instance lives: configure it, describe what is there, destroy it."""
