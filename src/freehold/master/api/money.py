"""How amounts and days travel: as people write them, `"12.30"` and `"2026-10-31"`, never as fractions of a machine."""

from typing import Annotated

from ninja import Field

Amount = Annotated[str, Field(description="An amount in the currency's own decimals, such as 12.30.", max_length=20)]
Day = Annotated[str, Field(description="A civil date, such as 2026-10-31.", max_length=10)]
