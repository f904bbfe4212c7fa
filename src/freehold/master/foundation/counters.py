"""The counters that every Master has (`models.Counter`)."""

NAMES = ("entry", "document")
