"""A browser that looks at the panel, and what every page must keep to in it."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Error, Page

from freehold.kit.master import OWNER
from freehold.kit.waiting import until
from freehold.protocol import archive
from freehold.release.folder import generate, load
from support.machines import REPOSITORY, Cloud

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SHOTS = REPOSITORY / "var" / "screenshots"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
SLOW = 30_000
INTERFACES = "ERR_NETWORK_CHANGED"
"""What Chromium says when the machine got or lost an interface."""
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
KIOSK = '''\
"""Something of everything that a page can show: wishes of many kinds, a secret, a part."""
from typing import Annotated, Literal
import msgspec
from msgspec import Meta
from freehold.promises import TcpPort
from freehold.release import Context, Plan, Process, Release, Request, RequestType, Secret, Type

class Poster(msgspec.Struct):
    title: Annotated[str, Meta(title="Title", min_length=1)]
    copies: Annotated[int, Meta(title="Copies", ge=1, le=99)] = 1

class Parameters(msgspec.Struct):
    pin: Annotated[Secret, Meta(title="PIN", description="Opens the till.", min_length=4)]
    colour: Annotated[Literal["red", "green"], Meta(title="Colour")] = "red"
    open: Annotated[bool, Meta(title="Open on Sundays")] = False
    posters: Annotated[list[Poster], Meta(title="Posters")] = []
    greeting: Annotated[str, Meta(title="Greeting", max_length=80)] = "hello"

class Publication(msgspec.Struct):
    page: Annotated[str, Meta(title="Page")]
    key: Annotated[Secret, Meta(title="Key of the till")]

def plan(parameters: Parameters, context: Context) -> Plan:
    sign = Request("sign", product="hello", parameters={"greeting": parameters.greeting}, returns=("url",))
    given = context.returned(sign)
    if given is None:
        return Plan(requests=(sign,))
    server = Process("till", ("/bin/sleep", "1000000"))
    promise = TcpPort(given["url"].split("/")[2].split(":")[0], 8080)
    key = f"till-{parameters.pin}"
    return Plan((server,), requests=(sign,), promises={"sign": promise}, publication=Publication(given["url"], key))

KIOSK = Type("Kiosk", Parameters, Publication, plan, requests=(RequestType("hello"),))
release = Release("kiosk", "1.0", "A kiosk with a sign.", {"default": KIOSK})
'''


class Window:
    """The panel as one person sees it. Nothing in it may fail, and it may ask no other host than the Master."""

    def __init__(self, browser: Browser, cloud: Cloud, **settings: Any) -> None:
        self.cloud = cloud
        self.address = cloud.master.url
        self.wrong: list[str] = []
        self.context: BrowserContext = browser.new_context(ignore_https_errors=True, **settings)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(2 * SLOW)
        # What the Content Security Policy forbids is told as an error too.
        self.page.on("console", lambda one: self._hear(one.type, one.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.context.on("request", lambda request: self._asks(request.url))

    def open(self, path: str) -> None:
        answer = self._load(f"{self.address}/{path}")
        assert answer is not None
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error" and INTERFACES not in text:
            self.wrong.append(text)

    def _load(self, url: str) -> Any:
        """Load a page; once more when Chromium gives up, as it does when the machine gets a partition's interface."""
        try:
            return self.page.goto(url)
        except Error as error:
            if INTERFACES not in str(error):
                raise
            return self.page.goto(url)

    def log_in(self) -> None:
        self.open("login")
        self.page.locator("#email").fill(OWNER)
        self.page.locator("#password").fill(self.cloud.master.password)
        self.page.locator("#password").press("Enter")
        # Who runs nodes comes to the desk, once there are some; everybody else to their services.
        self.page.wait_for_url(re.compile(rf"{re.escape(self.address)}/(desk/.*)?$"))

    def shoot(self, name: str) -> None:
        """Keep a picture, for people to look at."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    def has_no_barrier(self) -> None:
        """See that axe finds nothing that keeps somebody out (WCAG 2.2 AA)."""
        found = Axe().run(self.page, options=RULES)
        assert found.violations_count == 0, found.generate_report()

    def fits(self) -> None:
        """See that nothing sticks out at the side."""
        wide = self.page.evaluate(
            "[...document.querySelectorAll('body *')].filter(one => one.getBoundingClientRect().right > innerWidth + 1"
            " && getComputedStyle(one).position !== 'absolute').map(one => one.outerHTML.slice(0, 200))"
        )
        assert wide == [], (self.page.url, wide)
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), self.page.url

    def close(self) -> None:
        self.context.close()
        # A form that is refused answers with 4xx, which browsers note.
        wrong = [one for one in self.wrong if "status of 4" not in one]
        assert wrong == [], wrong

    def _asks(self, url: str) -> None:
        if not url.startswith(f"{self.address}/"):
            self.wrong.append(f"asked another host: {url}")


def publish(cloud: Cloud, folder: Path, *, plan: str = "", profile: str = "[buildout]\nparts =\n") -> Any:
    """Publish a release, not supplied to any node; made of a plan's source unless its folder is there."""
    if plan:
        folder.mkdir()
        (folder / "instance.py").write_text(plan)
        (folder / "software.cfg").write_text(profile)
        for name, text in generate(load(folder)).items():
            (folder / name).write_text(text)
    packed = archive.pack(folder)
    answer = cloud.master.call("POST", "/api/v1/projects/provider/releases", raw=packed, token=cloud.master.owner)
    assert answer.status == 201, answer.body
    return answer.body


def supply(cloud: Cloud, published: Any) -> None:
    """Have every node build a release, and wait for it."""
    spec = {"product": published["product"], "release": published["version"], "all": True}
    cloud.master.api("PUT", "/projects/provider/supplies", spec)
    rows = lambda: cloud.master.api("GET", "/projects/provider/supplies")  # noqa: E731
    until(lambda: {one["observed"] for one in rows()} == {"available"}, 90)


@pytest.fixture(scope="module")
def street(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    """A Master whose one node offers `hello` and `kiosk`."""
    cloud.machine(unprivileged=os.geteuid() != 0, title="corner", partitions=8)
    for published in (
        publish(cloud, REPOSITORY / "software" / "hello"),
        publish(cloud, tmp_path_factory.mktemp("releases") / "kiosk", plan=KIOSK),
    ):
        supply(cloud, published)
    return cloud
