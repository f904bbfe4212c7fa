"""Texts in files that spreadsheets open."""


def harmless(cell: str) -> str:
    """Return a text such that no spreadsheet computes it: with an apostrophe where it begins as a formula does."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
