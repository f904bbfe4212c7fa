"""No list is cut in silence: wherever the Master takes the first of many rows, somebody thought of the others."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.machines import REPOSITORY

MASTER = REPOSITORY / "src" / "freehold" / "master"
_LIMIT = re.compile(r"\bLIMIT\s+(\S+?)\)*(?:\s|$)")

TEXTS = {
    "accounting/exports.py: ''.join((letter for letter in entity.registration if letter.isalnum()))[:9]",
    "catalog/schemas.py: error.message[:200]",
    "catalog/schemas.py: error.message[:300]",
    "catalog/schemas.py: f'{error.validator}: {self._unknown_words(error) or repr(error.validator_value)}'"
    "[:LONGEST_RULE]",
    "catalog/schemas.py: json.dumps(schema)[:40]",
    "catalog/schemas.py: text[:LONGEST_VALUE]",
    "foundation/audit_trail.py: text[:40]",
    "foundation/causes.py: state[:length]",
    "foundation/paging.py: after[:80]",
    "foundation/statements.py: data[:_MAC]",
    "gateway/doubt.py: shown.digest[:16]",
    "gateway/reports.py: item.decode(errors='replace').replace('\\x00', '�')[:LONGEST_REFUSED]",
    "catalog/queries.py: text[:80]",
    "billing/customers/actions.py: name[:80]",
    "billing/invoicing/pay_to.py: self.name[:LONGEST_NAME]",
    "billing/customers/statements.py: text[match.start():match.start() + 40]",
    "billing/customers/statements.py: follows[:length]",
    "billing/customers/statements.py: named[:70]",
    "billing/customers/statements.py: booking.key[:20]",
    "payments/statements.py: ' · '.join(self.texts)[:LONGEST_TEXT]",
    "gateway/reports.py: reason[:MAX_MESSAGE]",
    "monitoring/events.py: text[:LONGEST_VALUE]",
    "notifications/finders.py: text[:LONGEST_TEXT]",
    "notifications/mail.py: f\"[Freehold] {' '.join(subject.split())}\"[:LONGEST_SUBJECT]",
    "ordering/clusters.py: f\"'{cluster.row['parent_title']}/{cluster.row['name']}' goes no further: "
    '{error.detail}"[:_LONGEST_WHY]',
    "ordering/clusters.py: sights[member['id']].message[:_LONGEST_WHY]",
    "panel/services.py: filters['q'].replace('\\x00', '')[:100]",
    "panel/services.py: hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16]",
    "people/actions.py: email[:LONGEST_EMAIL]",
    "people/actions.py: title[:100]",
    "people/passkeys.py: answer[:LONGEST_ANSWER]",
    "people/passkeys.py: title.strip()[:LONGEST_TITLE]",
    "people/second_factor.py: base64.b32encode(secrets.token_bytes(10)).decode()[:11]",
    "people/second_factor.py: code[:4]",
    "people/sessions.py: text[:longest]",
    "people/sign_up.py: re.sub('[^a-z0-9]+', '-', email.partition('@')[0]).strip('-')[:40]",
    "tasks/lanes.py: explained(failure)[:_LONGEST_WORDS]",
}
"""What is cut is a text, or bytes: no row is lost with its end."""
WHOLE = {
    "people/passkeys.py: Passkey.objects.filter(person=person).order_by('made_at', 'id')[:MOST_PASSKEYS]": "nobody has "
    "more",
    "ordering/listing.py: LIMIT :most": "a page; of releases, the newest from which one is chosen",
    "sales/actions.py: [*(above for above, _ in tiers[1:]), ENDLESS][:len(tiers)]": "one end for each beginning",
    "panel/services.py: METERS[name].units[:1]": "a number is shown in one unit",
    "people/identity.py: memberships[0][:2]": "columns of one row",
    "monitoring/queries.py: instances[start:start + 500]": "all of them, some at a time",
    "ordering/queries.py: trees[start:start + 500]": "all of them, some at a time",
    "notifications/reconcile.py: old.order_by('pk').values_list('pk', flat=True)[:FORGOTTEN_AT_ONCE]": "all of them, "
    "some at a time",
    "notifications/causes.py: causes_found[start:start + BATCH]": "all of them, some at a time",
    "people/letters.py: MailLetter.objects.select_for_update().filter(is_passed_on=False).order_by('id')[:most]": "the "
    "rest when these were sent",
    "notifications/outbox.py: due.order_by('id')[:BATCH]": "the rest in the next transaction",
    "notifications/outbox.py: due.order_by('person_id').values_list('person_id', flat=True).distinct()[:BATCH]": "the "
    "rest when these were told",
    "notifications/sql/causes.sql issued: LIMIT :most": "the rest when these were written down",
    "notifications/sql/causes.sql due: LIMIT :most": "the rest when these were written down",
    "fleet/reconcile.py: model.objects.order_by('id')[:BATCH]": "all of them, some at a time",
    "foundation/reconcile.py: AuditRow.objects.order_by('id').values_list('id', 'at')[:BATCH]": "the rest next time",
    "builds/pages.py: missing[:_MOST_MISSING]": "the rest when these were sent, and the entry is put again",
    "billing/sql/orders.sql pending: LIMIT :most": "the rest after these, in the same look",
    "billing/sql/run.sql slice: LIMIT :size": "the rest in the next slice",
    "monitoring/sql/assessments.sql stretch: LIMIT :most": "the rest in the next stretch",
    "monitoring/public_status.py: announced.order_by('-announced_at', '-id')[:TOLD]": "a feed begins with the newest; "
    "what is to come is on the page",
    "monitoring/sql/days.sql uncounted: LIMIT :most": "the rest after the last of these, in the same run",
    "monitoring/sql/days.sql unknown: LIMIT :most": "the rest after the last of these, in the same run",
    "usage/sql/usage.sql stretch: LIMIT :most": "the rest in the next stretch",
    "ordering/sql/instances.sql news: LIMIT :most": "the rest after the bookmark",
    "ordering/sql/instances.sql awaited: LIMIT :most": "the rest after the last of these",
    "ordering/sql/instances.sql reserved: LIMIT :most": "one is enough, and there are not more",
    "ordering/sql/clusters.sql clusters: LIMIT :most": "the rest after the last of these",
    "ordering/cluster_reports.py: parents[start:start + 500]": "all of them, some at a time",
    "ordering/sql/instances.sql hosts: LIMIT :most": "those that fit come first, and one is enough",
    "allocation/queries.py: LIMIT :limit": "the rest after these, until one fits",
}
"""Nothing is left out, only done later; or one is enough."""
PAGED = {
    "tasks/queries.py: tasks[:part.most]",
    "foundation/paging.py: rows[part.start:part.start + part.most]",
    "billing/queries.py: LIMIT :most",
    "billing/sql/orders.sql offers: LIMIT :most",
    "ordering/listing.py: LIMIT :most",
    "ordering/queries.py: LIMIT :limit",
    "ordering/queries.py: LIMIT :most",
    "panel/queries.py: supplies.order_by('-id').values('id', "
    "'wanted', 'observed', 'beneficiary', 'release__product__name', 'release__version', 'node__title')"
    "[start:start + PAGE]",
}
"""A part of a list, whose reader can ask for the next one."""
TOLD = {
    "desk/queries.py: problems[:most]": "how many there are in all",
    "desk/sql/desk.sql services: LIMIT :most": "count(*) OVER () AS total",
    "desk/sql/desk.sql nodes: LIMIT :most": "count(*) OVER () AS total",
    "desk/sql/desk.sql builds: LIMIT :most": "count(*) OVER () AS total",
    "desk/sql/desk.sql tickets: LIMIT :most": "count(*) OVER () AS total",
    "desk/sql/desk.sql certificates: LIMIT :most": "count(*) OVER () AS total",
    "billing/invoicing/run.py: aside[:MOST_NAMED]": "in all",
    "billing/invoicing/run.py: rows[:MOST_NAMED + 1]": "in all",
    "catalog/queries.py: Product.objects.order_by('name').values_list('name', flat=True)[:MOST_NAMED + 1]": "and more",
    "catalog/queries.py: known_names[:MOST_NAMED]": "and more",
    "catalog/queries.py: rows.values_list('version', flat=True)[:MOST_NAMED + 1]": "and older ones",
    "catalog/queries.py: versions[:MOST_NAMED]": "and older ones",
    "monitoring/queries.py: LIMIT {}": "is_cut",
    "monitoring/queries.py: promises[:MOST_PROMISES]": "is_cut",
    "monitoring/queries.py: sorted(begun, key=lambda result: result.at, reverse=True)[:MOST_CHANGES]": "is_cut",
    "monitoring/events.py: AuditRow.objects.filter(subject=row['id'], verb__in=_OF_VERB).order_by('-id')"
    "[:MOST + 1]": "is_cut",
    "monitoring/events.py: InstanceRow.objects.filter(instance=row['id']).order_by('-id')[:MOST + 1]": "is_cut",
    "monitoring/events.py: acts[:MOST]": "is_cut",
    "monitoring/events.py: events[:MOST]": "is_cut",
    "people/personal_data.py: acts[:MOST_ACTS]": "number",
    "support/personal_data.py: rows[:MOST_MESSAGES]": "number",
    "ordering/status.py: sorted(parts.items())[:NAMED]": "more are not ready",
    "ordering/queries.py: rows[:most]": "most + 1",
    "ordering/sql/instances.sql history: LIMIT :most": "",
    "schemaform/fields.py: numbers[:MOST_ROWS]": "more rows than this form takes",
    "panel/services.py: parts[:MOST_PARTS]": "parts_left_out",
    "payments/actions.py: wrong[:MOST_TOLD]": "are named",
    "panel/money.py: rows[:lists.MOST_OFFERED + 1]": "else None",
    "catalog/queries.py: rows.order_by('product__name', '-published_at', 'id')[:most + 1]": "else None",
    "notifications/finders.py: rows[:MOST_NAMED]": "more",
    "notifications/personal_data.py: mails[:MOST_MESSAGES]": "number",
    "billing/customers/actions.py: Customer.objects.filter(project=project, name=name)[:2]": "Several customers",
}
"""The reader is told that there is more, by words in the same file."""


def cuts() -> Iterator[str]:
    """Yield each place that takes the first of something: a slice with an end, or a LIMIT that is not 1."""
    for path in sorted(MASTER.rglob("*.py")):
        if "migrations" not in path.parts:
            for found in _of_python(ast.parse(path.read_text())):
                yield f"{path.relative_to(MASTER)}: {found}"
    for path in sorted(MASTER.rglob("*.sql")):
        for query in path.read_text().split("-- name: ")[1:]:
            for most in _LIMIT.findall(query):
                if most != "1":
                    yield f"{path.relative_to(MASTER)} {query.split()[0]}: LIMIT {most}"


def _of_python(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) and node.slice.upper is not None:
            is_from_end = isinstance(node.slice.upper, ast.UnaryOp)
            is_one = isinstance(node.slice.lower, ast.Constant)
            if not is_from_end and not is_one:
                yield ast.unparse(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (f"LIMIT {most}" for most in _LIMIT.findall(node.value) if most != "1")
        elif isinstance(node, ast.JoinedStr):
            parts = [one.value if isinstance(one, ast.Constant) else "{}" for one in node.values]
            text = "".join(map(str, parts))
            yield from (f"LIMIT {most}" for most in _LIMIT.findall(text) if most == "{}")


def test_each_place_that_takes_the_first_of_many_says_what_becomes_of_the_others() -> None:
    known = TEXTS | PAGED | WHOLE.keys() | TOLD.keys()
    found = set(cuts())
    assert found - known == set(), "page it, tell what is left out, or say here why nothing is"
    assert known - found == set(), "these are not there any more"


@pytest.mark.parametrize(("place", "words"), sorted(TOLD.items()))
def test_who_reads_a_part_is_told_that_there_is_more(place: str, words: str) -> None:
    path = MASTER / Path(re.split(r"[: ]", place, maxsplit=1)[0])
    assert words in path.read_text()


def test_a_page_and_a_list_of_the_api_never_take_a_part_that_nobody_asked_for() -> None:
    """A part without a wish is the first one: only what is few by what is asked for may be read so."""
    names = [
        f"{path.relative_to(MASTER)}: {ast.unparse(node)}"
        for path in sorted(MASTER.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and "FIRST" in {ast.unparse(one) for one in (*node.args, *_values(node))}
    ]
    assert names == [
        "billing/invoicing/documents.py: documents(f'{named[0]} AND {condition}', FIRST, **values, **named[1])",
        "billing/invoicing/documents.py: documents('d.id = :id', FIRST, id=document)",
        "billing/invoicing/reversal.py: documents(f'{named[0]} AND e.id = :entity', FIRST, entity=owned.id, "
        "**named[1])",
    ]


def _values(call: ast.Call) -> list[ast.expr]:
    return [one.value for one in call.keywords]


def test_this_search_sees_what_it_looks_for() -> None:
    seen = list(
        _of_python(ast.parse("rows[:500]\nrows[start:50]\ntext[:-1]\nx = 'SELECT 1 LIMIT 200'\ny = f'LIMIT {z}'"))
    )
    assert sorted(seen) == ["LIMIT 200", "LIMIT {}", "rows[:500]", "rows[start:50]"]
