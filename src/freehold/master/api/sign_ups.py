"""People who come by themselves, and the terms that they accept."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from freehold.master.api.auth import anybody, caller, staff
from freehold.master.api.bodies import StrictBody
from freehold.master.api.paging import USUAL, After, Limit, listed
from freehold.master.foundation import clock
from freehold.master.foundation.addresses import network_of_caller
from freehold.master.foundation.paging import ListPart
from freehold.master.people import sign_up, terms
from freehold.master.people.models import TermsVersion

router = Router()


class ModeIn(StrictBody):
    mode: str = Field(description=f"One of {', '.join(sign_up.SignUpMode)}.")


class ModeOut(Schema):
    mode: str = Field(
        description="closed: nobody signs up; approval: staff accepts each; open: whoever proves an address."
    )
    terms: list[str] = Field(description="Ids of the terms that hold, which a sign-up accepts.")


class SignUpIn(StrictBody):
    email: str
    name: str = Field("", description=f"At most {sign_up.LONGEST_NAME} characters in one line.")
    password: str = Field(json_schema_extra={"format": "password"}, description="12 characters or more.")
    language: str = Field("", description="Of messages: its code. Empty: the Master's own.")
    terms: list[str] = Field([], description="Ids of all terms that hold: they are accepted.")


class ConfirmIn(StrictBody):
    email: str
    code: str = Field(json_schema_extra={"format": "password"}, description="From the mail; good once, for two days.")
    password: str = Field(json_schema_extra={"format": "password"}, description="As it was chosen.")


class ConfirmOut(Schema):
    is_open: bool = Field(description="Whether the account is there; else staff has yet to accept it.")


class SignUpRow(Schema):
    id: str
    email: str
    name: str
    asked_at: str


class RefusalIn(StrictBody):
    reason: str = Field(description=f"1 to {sign_up.LONGEST_REASON} characters in one line, which they are mailed.")


class TermsTextIn(StrictBody):
    kind: str = Field(description=f"One of {', '.join(terms.TermsKind)}: general terms, or on personal data.")
    text: str = Field(description="The text, or the https:// address of a page.")


class TermsRow(Schema):
    id: str
    kind: str
    version: int
    published_at: str
    text: str
    link: str = Field(description="Where the text is, if it is a page elsewhere; else empty.")


@router.get("/sign-up", response=ModeOut, auth=anybody, summary="Who may sign up, and the terms that they accept")
def show_mode(request: HttpRequest) -> dict[str, Any]:
    return {"mode": sign_up.mode(), "terms": [version.id for version in terms.current()]}


@router.put("/sign-up", response={204: None}, auth=staff, summary="Say who may sign up (staff)")
def set_mode(request: HttpRequest, body: ModeIn) -> tuple[int, None]:
    sign_up.set_mode(body.mode, acting=caller(request))
    return 204, None


@router.post(
    "/sign-up",
    response={204: None},
    auth=anybody,
    summary="Have a letter mailed with which an account is made; the answer does not tell who has one",
)
def ask(request: HttpRequest, body: SignUpIn) -> tuple[int, None]:
    sign_up.ask(
        body.email, body.name, body.password, language=body.language, accepted=body.terms,
        address=network_of_caller(request),
    )  # fmt: skip
    return 204, None


@router.post("/sign-up/confirm", response=ConfirmOut, auth=anybody, summary="Prove your address with its letter's code")
def confirm(request: HttpRequest, body: ConfirmIn) -> dict[str, Any]:
    person = sign_up.confirm(body.email, body.code, body.password, network_of_caller(request))
    return {"is_open": person is not None}


@router.get(
    "/sign-ups",
    response=list[SignUpRow],
    auth=staff,
    summary="People who wait for an account, the first first (staff)",
    openapi_extra=listed("id"),
)
def list_sign_ups(request: HttpRequest, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    return [
        {
            "id": request_row.id,
            "email": request_row.email,
            "name": request_row.name,
            "asked_at": clock.iso(request_row.made_at),
        }
        for request_row in sign_up.part(ListPart(after, limit))
    ]


@router.post("/sign-ups/{identity}/accept", response={204: None}, auth=staff, summary="Give them an account (staff)")
def accept(request: HttpRequest, identity: str) -> tuple[int, None]:
    sign_up.accept(identity, acting=caller(request))
    return 204, None


@router.post(
    "/sign-ups/{identity}/refuse", response={204: None}, auth=staff, summary="Refuse them, and mail them why (staff)"
)
def refuse(request: HttpRequest, identity: str, body: RefusalIn) -> tuple[int, None]:
    sign_up.refuse(identity, body.reason, acting=caller(request))
    return 204, None


@router.get(
    "/terms",
    response=list[TermsRow],
    auth=anybody,
    summary="All versions of the provider's terms, the newest first",
    openapi_extra=listed("id"),
)
def list_terms(request: HttpRequest, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    return [_shown(version) for version in terms.part(ListPart(after, limit))]


@router.post("/terms", response={201: TermsRow}, auth=staff, summary="Have another version of the terms hold (staff)")
def publish(request: HttpRequest, body: TermsTextIn) -> tuple[int, dict[str, Any]]:
    return 201, _shown(terms.publish(body.kind, body.text, acting=caller(request)))


def _shown(version: TermsVersion) -> dict[str, Any]:
    return {
        "id": version.id, "kind": version.kind, "version": version.number,
        "published_at": clock.iso(version.published_at), "text": version.text, "link": terms.link_of(version),
    }  # fmt: skip
