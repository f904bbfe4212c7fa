"""The browser, and windows of it that are closed after each test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from browser.windows import CHROMIUM, FLAGS, Window, street
from support.machines import Cloud

__all__ = ["street"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def window(browser: Browser, cloud: Cloud) -> Iterator[Callable[..., Window]]:
    """Open windows; what fails in one of them fails the test."""
    opened: list[Window] = []

    def make(**settings: Any) -> Window:
        opened.append(Window(browser, cloud, **settings))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
