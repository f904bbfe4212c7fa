"""The files that go with a mail: the invoices and credit notes that it tells of, as PDF."""

import json
import logging
from collections.abc import Iterator, Sequence

from freehold.master.billing.invoicing import documents
from freehold.master.billing.printing import pdf
from freehold.master.foundation.errors import MasterError
from freehold.master.notifications.kinds import CauseKind
from freehold.master.notifications.models import Notice

MOST = 5
"""Files of a mail: of one that tells of more documents, all are read where its links lead."""
LARGEST = 5 * 1024 * 1024
"""Bytes of all files together; many servers take no mail of more than ten."""
_log = logging.getLogger(__name__)


def of_notices(notices: Sequence[Notice]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file of a mail that tells of these notices.

    A document that cannot be set now, or that its reader may not see, has none: the mail goes without it.
    """
    issued = {
        (notice.cause.project_id, json.loads(notice.cause.detail)["number"])
        for notice in notices
        if notice.cause.kind == CauseKind.INVOICE_ISSUED
    }
    if len(issued) > MOST:
        return
    room = LARGEST
    for project, number in sorted(issued):
        try:
            content = pdf.of_document(documents.find(project, number))
        except MasterError as error:
            _log.warning("%s goes out without its file: %s", number, error)
            continue
        if len(content) <= room:
            room -= len(content)
            yield f"{number}.pdf", content
