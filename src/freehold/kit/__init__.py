"""The author's kit: start, check, build and test a release. See `docs/authors/`.

For tests of releases: the pytest fixture `cloud` gives a `Cloud`, a real Master with a real Node on this machine.
"""

from freehold.client import Instance
from freehold.kit.cloud import Cloud
from freehold.kit.machine import Machine
from freehold.kit.master import Master
from freehold.kit.waiting import KitError, gone, page, shows, until

__all__ = ["Cloud", "Instance", "KitError", "Machine", "Master", "gone", "page", "shows", "until"]
