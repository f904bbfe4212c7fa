"""Pictures that are drawn with a page, as parts of it: no script, and nothing fetched."""

from typing import Any

import segno


def qr(code: segno.QRCode) -> dict[str, Any]:
    """Return the dark squares of a QR code (ISO/IEC 18004) as the path of a drawing, and its side with margins of 4."""
    rows = [list(row) for row in code.matrix]
    path = "".join(
        f"M{column + 4} {line + 4}h1v1h-1z" for line, row in enumerate(rows) for column, dark in enumerate(row) if dark
    )
    return {"squares": path, "side": len(rows) + 8}
