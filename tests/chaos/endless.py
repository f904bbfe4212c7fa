"""A node with two builds that never end: `python endless.py` prints after how many seconds a third release is built.

In a process of its own: the simulator takes the clock and the database of the process it runs in.
"""

import logging
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from freehold.node.parts import AgentParts
from freehold.simulator import history
from freehold.simulator.host import Builder
from freehold.simulator.master import Master
from freehold.simulator.node import Node, parts_of
from freehold.simulator.world import World
from support.running import tiny_release

LONGEST = 2 * 3600


def main() -> None:
    world = World(1)
    with history.rooms() as rooms, TemporaryDirectory(dir=rooms.root) as folder:
        from freehold.master.catalog import actions as catalog
        from freehold.master.fleet import actions as fleet

        master = Master(world, rooms)
        endless = [catalog.publish(tiny_release(name), "provider", acting=rooms.owner) for name in ("one", "two")]
        never = {release.id for release in endless}

        class OrNever(Builder):
            def build(self, paths: Any, settings: Any, link: object, release: str) -> None:
                if release in never:
                    world.sleep(10**9)
                super().build(paths, settings, link, release)

        def parts(node: Node) -> AgentParts:
            return replace(parts_of(node), builder=OrNever(node.machine))

        node = Node(world, master, Path(folder) / "n0", "n0", parts)
        node.machine.troubled = False
        node.start()
        world.run(world.now + 10)
        for release in endless:
            fleet.supply(release, [node.settings.node], "provider", acting=rooms.owner)
        master.supply([node.settings.node])
        began = world.now
        while not node.machine.built and world.now < began + LONGEST:
            world.run(world.now + 10)
        print(round(world.now - began))
        master.close()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    main()
