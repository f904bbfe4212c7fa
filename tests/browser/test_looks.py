"""Every main page in both widths, both lights and all three languages: nobody is kept out, nothing sticks out.

The pictures are in `var/screenshots`, for people to look at.
"""

from collections.abc import Callable

import pytest

from browser.windows import DESKTOP, PHONE, Window
from support.machines import Cloud

PAGES = {
    "desk": "desk/provider",
    "audit": "audit/provider",
    "site": "fleet/provider/sites/corner",
    "services": "",
    "service": "services/provider/till",
    "change": "services/provider/till/-/change",
    "logs": "services/provider/till/-/logs",
    "events": "services/provider/till/-/events",
    "pictures": "services/provider/till/-/pictures",
    "status": "status",
    "destroy": "services/provider/till/-/destroy",
    "catalogue": "catalogue",
    "order": "catalogue/kiosk",
    "fleet": "fleet/provider",
    "node": "fleet/provider/nodes/corner",
    "supplies": "fleet/provider/supplies",
    "enrol": "fleet/provider/enrol",
    "messages": "account/messages",
    "webhooks": "webhooks/provider",
    "forgotten": "forgotten",
    "sign-up": "sign-up",
    "sign-up-confirm": "sign-up/confirm",
    "sign-ups": "sign-ups",
    "terms": "terms",
}


@pytest.fixture(scope="module", autouse=True)
def services(street: Cloud) -> None:
    street.order("shop", parameters={"greeting": "a greeting that is somewhat longer than most"})
    street.order("till", "kiosk", parameters={"pin": "sesame-1234", "posters": [{"title": "sale"}]})


@pytest.mark.parametrize(
    ("language", "scheme", "size"),
    [("en", "light", PHONE), ("en", "dark", DESKTOP), ("fr", "dark", PHONE), ("zh-CN", "light", PHONE)],
    ids=["en-light-phone", "en-dark-desktop", "fr-dark-phone", "zh-light-phone"],
)
def test_nobody_is_kept_out_and_nothing_sticks_out(
    window: Callable[..., Window], request: pytest.FixtureRequest, language: str, scheme: str, size: dict[str, int]
) -> None:
    opened = window(viewport=size, color_scheme=scheme, locale=language)
    opened.open("login")
    opened.has_no_barrier()
    opened.log_in()
    look = request.node.callspec.id
    for name, path in PAGES.items():
        opened.open(path)
        opened.has_no_barrier()
        opened.fits()
        opened.shoot(f"{name}-{look}")
