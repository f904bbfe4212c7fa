"""Invoices as files: readable in each language whatever they say, and the same bytes each time."""

import hashlib
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation.errors import Busy, Invalid, NotInstalled, TooLarge
from support.happenings import CUSTOMER, pass_by
from support.mailbox import Mailbox
from support.mailbox import text as mail_text
from support.panels import Visitor

if TYPE_CHECKING:
    from support.market import Market

AWKWARD = '#let x = 1 $a_b$ *bold* \\alpha #include("/etc/passwd") "q" <b> [x] // no `r` @a ~'
NUMBER = "FR-2026-000001"


@pytest.fixture
def shop(market: "Market") -> "Market":
    """A month of a service and a charge with an awkward label, invoiced to a Chinese company."""
    from freehold.master.billing.subscriptions import actions as subscriptions

    market.offer()
    market.prices(market.price(4200))
    buyer = market.customer(
        "北京自由云科技有限公司", country="CN", kind="company", address="北京市海淀区中关村大街1号\n#2"
    )
    market.buyer = buyer  # type: ignore[attr-defined]
    market.pay(buyer, 4200, "deposit")
    market.ready(market.order())
    subscriptions.agree(market.contract(buyer), AWKWARD, 1234567, acting=market.sales)
    market.bill("2026-04-01")
    return market


def _row(shop: "Market", number: str = NUMBER) -> dict[str, Any]:
    from freehold.master.billing.invoicing import documents

    return documents.find_sold(shop.entity.id, number)


def _text(pdf: bytes) -> str:
    """Return what poppler reads, spaces made one."""
    read = subprocess.run(["pdftotext", "-", "-"], input=pdf, capture_output=True, check=True).stdout
    return re.sub(r"\s+", " ", read.decode())


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["Invoice FR-2026-000001", "Seller", "Customer", "Without tax", "€12,345.67"]),
        ("fr", ["Facture FR-2026-000001", "Vendeur", "Client", "12 345,67 €"]),
        ("zh-hans", ["账单 FR-2026-000001", "销售方", "客户", "€12,345.67"]),
    ],
)
def test_it_says_all_in_each_language_whatever_it_says(shop: "Market", language: str, words: list[str]) -> None:
    from freehold.master.billing.printing import pdf

    read = _text(pdf.of_document(_row(shop), language))
    # Where a line ends, and how wide a space is, is the typesetter's.
    read = re.sub(r"\s", "", read)
    for word in (*words, "北京自由云科技有限公司", "北京市海淀区中关村大街1号", AWKWARD):
        assert re.sub(r"\s", "", word) in read, word


def test_it_is_in_the_customers_language_and_in_another_when_asked(shop: "Market") -> None:
    from freehold.master.billing.customers import actions as customers
    from freehold.master.billing.printing import pdf

    assert "账单" in _text(pdf.of_document(_row(shop))), "that of their country"
    buyer = shop.buyer  # type: ignore[attr-defined]
    spec = customers.CustomerIdentity("Li", "company", "Beijing", "CN", "EUR", language="fr")
    customers.change_customer(buyer, spec, acting=shop.sales)
    assert "Facture" in _text(pdf.of_document(_row(shop)))
    with pytest.raises(Invalid):
        pdf.of_document(_row(shop), "tlh")
    with pytest.raises(Invalid):
        customers.change_customer(
            buyer, customers.CustomerIdentity("Li", "company", "B", "CN", "EUR", language="tlh"), acting=shop.sales
        )


def test_two_processes_make_the_same_bytes(shop: "Market") -> None:
    import json

    from freehold.master.billing.printing import content, pdf

    row = _row(shop)
    here = pdf.of_document(row)
    said = json.dumps({**content.of_document(row), "font": pdf.FONT})
    command = ["-m", "freehold.master.billing.printing.typesetter", str(pdf.FONTS), str(row["issued_at"] // 1000)]
    for zone in ("UTC", "Asia/Shanghai"):
        there = subprocess.run(
            [sys.executable, *command],
            input=said.encode(),
            capture_output=True,
            check=True,
            env={**os.environ, "TZ": zone, "LANG": "fr_FR.UTF-8"},
        ).stdout
        assert hashlib.sha256(there).hexdigest() == hashlib.sha256(here).hexdigest()
    shop.turn("2027-01-01")
    assert pdf.of_document(_row(shop)) == here, "next year it is the same"


def test_a_credit_note_names_what_it_corrects(shop: "Market") -> None:
    from freehold.master.billing.invoicing import reversal
    from freehold.master.billing.printing import pdf

    reversal.take_back("FR", NUMBER, acting=shop.accountant)
    read = _text(pdf.of_document(_row(shop, "FR-C-2026-000001"), "en"))
    assert "Credit note FR-C-2026-000001" in read
    assert "Corrects" in read
    assert NUMBER in read


def test_long_titles_and_many_lines_are_set_over_pages(shop: "Market") -> None:
    from freehold.master.billing.printing import content, pdf

    said = content.of_document(_row(shop), "en")
    said["lines"] = [[f"{number} {'w' * 400} {'长' * 300}", "2026-03", "20 %", "€1.00"] for number in range(400)]
    made = pdf._set(said, 0)
    pages = subprocess.run(["pdfinfo", "-"], input=made, capture_output=True, check=True, text=False).stdout.decode()
    assert int(re.findall(r"Pages:\s+(\d+)", pages)[0]) > 20
    said["lines"] = said["lines"][:1] * (pdf.MOST_LINES + 1)
    with pytest.raises(TooLarge):
        pdf._set(said, 0)


def test_what_takes_too_long_is_ended_and_what_lacks_its_font_says_so(
    shop: "Market", monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master import checks
    from freehold.master.billing.printing import pdf

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pdf, "SECONDS", 0.001)
        with pytest.raises(Busy):
            pdf.of_document(_row(shop))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pdf.content, "_TYPESET", {"zh-hans": ("no language", "")})
        with pytest.raises(Busy):
            pdf.of_document(_row(shop))
    assert pdf.of_document(_row(shop)).startswith(b"%PDF"), "nobody's trouble is another's"
    monkeypatch.setattr(pdf, "PATIENCE", 0.01)
    monkeypatch.setattr(pdf, "_places", threading.BoundedSemaphore(1))
    pdf._places.acquire()
    with pytest.raises(Busy):
        pdf.of_document(_row(shop))
    assert checks._documents() == []
    monkeypatch.setattr(pdf, "FONTS", Path("/nonexistent"))
    assert "fonts-noto-cjk" in checks._documents()[0]
    with pytest.raises(NotInstalled):
        pdf.of_document(_row(shop))


def test_people_and_programs_fetch_it(shop: "Market") -> None:
    from support.lists import Asker

    for who, path in (
        (shop.rooms.customer, f"/costs/shop/documents/{NUMBER}.pdf"),
        (shop.accountant, f"/books/FR/documents/{NUMBER}.pdf"),
    ):
        assert path in Visitor(who).get(path.removesuffix(".pdf")).content.decode()
        answer = Visitor(who).get(path)
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
        assert f"{NUMBER}.pdf" in answer["Content-Disposition"]
        assert "账单" in _text(answer.content)
    client = Asker(shop.rooms)._client
    for path in (f"/projects/shop/documents/{NUMBER}/pdf", f"/entities/FR/documents/{NUMBER}/pdf"):
        answer = client.get(f"/api/v1{path}?language=fr", secure=True)
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf"), answer.content
        assert "Facture" in _text(answer.content)
    assert client.get("/api/v1/projects/shop/documents/FR-2026-000009/pdf", secure=True).status_code == 404


def test_who_is_told_of_a_document_by_mail_has_it_with_the_mail(
    shop: "Market", monkeypatch: pytest.MonkeyPatch, box: Mailbox
) -> None:
    from freehold.master.billing.printing import pdf
    from freehold.master.notifications import reconcile

    def told_of(number: str) -> Any:
        for _ in range(2):
            reconcile.gather_slow()
            pass_by()
        return next(mail for mail in box.of(CUSTOMER) if f"{number} of" in mail["Subject"])

    mail = told_of(NUMBER)
    (file,) = mail.iter_attachments()
    assert (file.get_filename(), file.get_content_type()) == (f"{NUMBER}.pdf", "application/pdf")
    assert file.get_content() == pdf.of_document(_row(shop))
    assert NUMBER in mail_text(mail)
    monkeypatch.setattr(pdf, "FONTS", Path("/nonexistent"))
    shop.bill("2026-05-01")
    mail = told_of("FR-2026-000002")
    assert list(mail.iter_attachments()) == [], "it goes out all the same"
