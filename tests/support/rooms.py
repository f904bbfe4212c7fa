"""The Master's rooms without a server: what a test needs of them in one object."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from freehold.master.fleet.models import Node
    from freehold.master.people.identity import Caller


class Rooms:
    """A Master in this process: project `provider` with its owner, project `shop` with a customer."""

    def __init__(self, url: str) -> None:
        from freehold.master.people import actions, identity
        from freehold.master.people.models import Role

        self.url = url
        system = identity.system()
        provider = actions.add_project("provider", acting=system)
        shop = actions.add_project("shop", acting=system)
        owner = self._person("owner@example.org")
        customer = self._person("customer@shop.example")
        actions.give_role(owner, provider, Role.OWNER, acting=system)
        actions.give_role(customer, shop, Role.CUSTOMER, acting=system)
        self.owner: Caller = identity.by_person(owner.id)
        self.customer: Caller = identity.by_person(customer.id)
        self.provider, self.shop = provider.id, shop.id
        self.partial = False
        """Whether `request` takes what there is room for, of a release that declares to request more."""

    def node(
        self, title: str, *, partitions: int = 4, site: str = "here", region: str = "", labels: Any = None,
        capacity: int | None = None, project: str | None = None, **facts: Any,
    ) -> "Node":  # fmt: skip
        """Return a node that offers these partitions, as if it had enrolled and reported."""
        from freehold.master.fleet import actions, revisions
        from freehold.master.fleet.models import Node, Site
        from freehold.master.foundation import clock, ids
        from freehold.master.foundation.transactions import writing

        owner = project or self.provider
        place = Site.objects.filter(name=site).first() or actions.add_site("provider", site, region, acting=self.owner)
        with writing():
            node = Node.objects.create(
                id=ids.new("node"), project_id=owner, site=place, title=title,
                revision=revisions.next_revision(), created_at=clock.now(),
            )  # fmt: skip
        self.tell(node, partitions=partitions, **facts)
        if labels is not None or capacity is not None:
            actions.change_node(node.id, "provider", labels=labels, capacity=capacity, acting=self.owner)
        node.refresh_from_db()
        return node

    def tell(self, node: "Node", *, partitions: int | list[str] = 4, **facts: Any) -> None:
        """Have a node say what it offers, and the Master take it over."""
        from freehold.master.fleet import reconcile
        from freehold.master.fleet.models import HostFactsRow
        from freehold.master.foundation import clock

        names = partitions if isinstance(partitions, list) else [f"p{number}" for number in range(partitions)]
        offered = [{"name": name, "address": f"127.0.1.{number}"} for number, name in enumerate(names)]
        told = {"kind": "host", "partitions": offered, "cpus": 2, "memory_mb": 2000, "disk_mb": 9000, **facts}
        HostFactsRow.objects.create(node=node, facts=json.dumps(told), received_at=clock.now())
        reconcile.take_over()

    def publish(self, packed: bytes) -> Any:
        from freehold.master.catalog import actions

        return actions.publish(packed, "provider", acting=self.owner)

    def supply(self, release: Any, *nodes: "Node", **more: Any) -> Any:
        from freehold.master.fleet import actions

        return actions.supply(release, [node.id for node in nodes], "provider", acting=self.owner, **more)

    def request(self, title: str, product: str | None = "tiny", *, dry_run: bool = False, **spec: Any) -> Any:
        """Request as the customer of `shop`."""
        from freehold.master.ordering import actions

        asked = actions.Request("shop", title, product=product, **spec)
        return actions.request(asked, dry_run=dry_run, partial=self.partial, acting=self.customer)

    def node_says(self, instance: str, state: str, revision: int = 10**9, **more: Any) -> None:
        """Write down what a node would have said of an instance, and reconcile."""
        from freehold.master.foundation import clock
        from freehold.master.ordering.models import InstanceRow
        from freehold.master.tasks import lanes

        told = {"message": "", "promises": "[]", **more}
        InstanceRow.objects.create(instance_id=instance, revision=revision, state=state, at=clock.now(), **told)
        lanes.run_once()

    def _person(self, email: str) -> Any:
        # Without a password, which would cost each test the time to hash it.
        from freehold.master.foundation import clock, ids
        from freehold.master.people.models import Person

        return Person.objects.create(id=ids.new("pers"), email=email, password="!", created_at=clock.now())
