"""`POST /node/v1/letters`: anybody may bring a letter; its signature says whose it is."""

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from freehold.master.fleet import actions
from freehold.master.foundation.declared import declares
from freehold.master.foundation.errors import Malformed
from freehold.master.foundation.problem_responses import with_problems
from freehold.master.foundation.statements import Statements
from freehold.master.gateway import reports
from freehold.master.gateway.doubt import Judge, Standing
from freehold.master.offline_sync import letters
from freehold.master.people.identity import ANYBODY
from freehold.protocol.letter import Receipt, Sealed


@declares(ANYBODY)
@csrf_exempt
@with_problems
def deliver(request: HttpRequest) -> HttpResponse:
    """Apply a batch of reports that was carried here; answer with a signed receipt."""
    if request.method != "POST":
        raise Malformed(f"{request.method} is not part of the protocol here; use POST.")
    authority = actions.the_authority()
    node, batch = letters.open_letter(Sealed(dict(request.headers), request.body), authority)
    judge = Judge(settings.DATABASE_URL, Statements(authority.statement_key()), Standing())
    try:
        if batch.statement:
            judge.look(node, batch.statement)
        # Whoever carries it keeps it until the operator has decided.
        judge.refuse_in_doubt()
        done = reports.apply(node, batch.epoch, batch.reports, len(request.body))
        statement = judge.say(node, batch.epoch, done.sequence) or msgspec.UNSET
    finally:
        judge.close()
    receipt = letters.sign(Receipt(node, batch.epoch, done.sequence, statement), authority)
    return HttpResponse(receipt.content, content_type="application/json", headers=receipt.headers)
