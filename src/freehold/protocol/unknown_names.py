"""Names that somebody sent, and that are not known."""

from collections.abc import Iterable


def words(names_given: Iterable[str], known: Iterable[str]) -> str:
    """Return words about the first name that is not known, or an empty text."""
    # Half a millisecond and half a megabyte that only a refusal costs.
    import difflib

    names = sorted(known)
    for name in names_given:
        if name not in names:
            like = difflib.get_close_matches(name, names, n=1)
            meant = f"do you mean {like[0]!r}?" if like else f"known are: {', '.join(names) or 'none'}."
            return f"There is no {name[:80]!r} here; {meant}"
    return ""
