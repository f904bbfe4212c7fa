"""An invoice from issue to paid, at terminals of its customer and its seller, against a real Master."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import statements as bank
from support.running import OWNER, PASSWORD

if TYPE_CHECKING:
    from support.running import Master


@pytest.fixture
def invoice(master: "Master") -> str:
    """Return the number of an invoice over 12.00, of a seller who named an account."""
    seller = {"code": "FR", "name": "Hosting", "address": "1 rue du Port", "country": "FR", "currency": "EUR"}
    master.api("POST", "/projects/provider/entities", {**seller, "time_zone": "UTC", "iban": bank.IBAN})
    buyer = {"name": "Ada", "kind": "person", "address": "2 rue du Bac", "country": "FR", "currency": "EUR"}
    customer = master.api("POST", "/projects/provider/customers", {**buyer, "language": "fr"})["id"]
    master.api("PUT", "/projects/provider/payers", {"project": "provider", "customer": customer})
    charge = {"customer": customer, "seller": "FR", "currency": "EUR", "label": "Advice", "amount": "10.00"}
    master.api("POST", "/projects/provider/charges", charge)
    today = datetime.now(UTC).date()
    # The calendar is turned behind its back: it was agreed yesterday, and the period ends today.
    master.sql("UPDATE billing_charge SET day = day - 1")
    master.sql("UPDATE billing_contract SET next_day = ?", (today - date(1970, 1, 1)).days)
    master.api("POST", "/entities/FR/runs", {"day": today.isoformat()})
    (document,) = master.api("GET", "/entities/FR/documents")
    number: str = document["number"]
    return number


def test_it_is_read_saved_and_paid_by_a_statement(master: "Master", tmp_path: Path, invoice: str) -> None:
    environment = {**os.environ, "FREEHOLD_CREDENTIALS": str(tmp_path / "credentials")}

    def run(*arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "freehold.cli", *arguments]
        return subprocess.run(command, env=environment, input=given, capture_output=True, text=True, timeout=120)

    def says(*arguments: str, given: str = "") -> str:
        done = run(*arguments, given=given)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    says(
        "login", master.url, "--email", OWNER, "--password-file", "-", "--authority", str(master.authority),
        "--scopes", "read", "order", "sell", "account", "audit", given=PASSWORD,
    )  # fmt: skip
    assert "due" in says("invoices")
    assert f"IBAN {bank.IBAN}" in says("invoice", invoice)
    assert "12.00 EUR owed" in says("costs")
    own, sold = tmp_path / "own.pdf", tmp_path / "sold.pdf"
    assert says("invoice", invoice, "--pdf", str(own)) == f"Written to {own}.\n"
    says("billing", "pdf", "FR", invoice, str(sold))
    assert own.read_bytes() == sold.read_bytes()
    read = subprocess.run(["pdftotext", str(own), "-"], capture_output=True, check=True, text=True).stdout
    assert f"Facture {invoice}" in read, "in the customer's language"
    says("invoice", invoice, "--pdf", str(own), "--language", "en")
    assert own.read_bytes() != sold.read_bytes()
    assert "cannot be written" in run("invoice", invoice, "--pdf", str(tmp_path / "no" / "x.pdf")).stderr

    statement = tmp_path / "statement.xml"
    today = datetime.now(UTC).date().isoformat()
    statement.write_bytes(
        bank.file(bank.numbered("12.00", f"Invoice {invoice}", day=today) + bank.numbered("1.00", "thanks", day=today))
    )
    shown = says("billing", "statement", "FR", str(statement))
    assert "match" in shown
    assert "unknown" in shown
    assert invoice in says("billing", "documents", "FR", "--state", "due"), "nothing was booked"
    assert "Booked: 1" in says("billing", "statement", "FR", str(statement), "--book")
    assert "Booked: 0" in says("billing", "statement", "FR", str(statement), "--book")
    assert says("billing", "documents", "FR", "--state", "due") == "There is none.\n"
    assert ": paid\n" in says("invoice", invoice)
    assert "IBAN" not in says("invoice", invoice)
    assert "cannot be read" in run("billing", "statement", "FR", str(tmp_path / "lost.xml")).stderr
