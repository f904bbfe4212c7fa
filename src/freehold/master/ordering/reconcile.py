"""Moves orders toward what nodes told."""

from django.db.models import Max

from freehold.master.foundation.transactions import writing
from freehold.master.ordering import actions, moves, trees
from freehold.master.ordering.models import InstanceRow, PublicationRow

_pass_on = trees.PassingOn()


def reconcile() -> None:
    """Give parents what their children published, end what nobody requests, free what the destroyed held."""
    _pass_on()
    trees.end_unasked()
    actions.bury()
    moves.find_lost()
    moves.move_from_lost()
    moves.see_off()


def tidy() -> None:
    """Keep the last hundred observations and publications of each instance."""
    for model in (InstanceRow, PublicationRow):
        for row in model.objects.values("instance").annotate(last=Max("id")):
            old = model.objects.filter(instance=row["instance"]).order_by("-id").values_list("id", flat=True)
            edge = old[100:101].first()
            if edge is not None:
                with writing():
                    model.objects.filter(instance=row["instance"], id__lte=edge).delete()
