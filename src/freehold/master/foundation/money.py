"""Money: whole minor units (cents, fen, yen) of a currency, and the one way in which amounts are rounded. Pure."""

LARGEST = 10**14
"""Minor units of the largest amount that can be asked for: its products with rates of tax and days fit 63 bits."""


def rounded(numerator: int, denominator: int) -> int:
    """Return the whole number nearest to a fraction with a positive denominator; halves go away from zero.

    So do invoices by EN 16931. The SQL files say the same: both databases divide whole numbers toward zero.
    """
    size = (2 * abs(numerator) + denominator) // (2 * denominator)
    return size if numerator >= 0 else -size


def share(amount: int, numerator: str, denominator: str) -> int:
    """Return an amount times a fraction of any size, rounded as `rounded` does: the databases' `money_share`.

    Parts of the fraction are texts: they may be larger than the whole numbers of a database.
    """
    return rounded(amount * int(numerator), int(denominator))
