"""The Master's errors. Each becomes one problem document (RFC 9457), in one place per door.

A subclass is a kind of problem: its `type` is stable, documented in `docs/problems.md` (a test asserts it) and
safe to program against; its message says what was wrong, `remedy` what to do.
"""

from freehold.protocol.problem import FieldError, Problem, Reason


class MasterError(Exception):
    """Something the caller asked for cannot be done."""

    type = "internal"
    title = "The Master failed"
    status = 500
    remedy = "Try again later; if it happens again, send the time and this message to your provider."

    def __init__(
        self,
        detail: str,
        *,
        remedy: str | None = None,
        errors: list[FieldError] | None = None,
        reasons: list[Reason] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        if remedy is not None:
            self.remedy = remedy
        self.errors = errors or []
        self.reasons = reasons or []

    def problem(self) -> Problem:
        """Return the document to send."""
        return Problem(self.type, self.title, self.status, self.detail, self.remedy, self.errors, self.reasons)


def explained(failure: Exception) -> str:
    """Return what those whom a failure concerns are told of it, with what to do.

    The words of an error that we did not make may hold what is not theirs to see: of it only its kind is said.
    """
    if isinstance(failure, MasterError):
        return f"{failure} {failure.remedy or ''}".strip()
    return f"An error of the Master itself ({type(failure).__name__}): its operator finds it in the log."


class Malformed(MasterError):
    type = "malformed"
    title = "The request cannot be read"
    status = 400
    remedy = "Correct the request; the API description is at /api/v1/docs."


class Unauthenticated(MasterError):
    type = "unauthenticated"
    title = "Authentication required"
    status = 401
    remedy = "Run `freehold login`, or send a valid API token or client certificate."


class SecondFactorNeeded(Unauthenticated):
    """The password was right; a code is wanted, too."""

    type = "second-factor-needed"
    title = "A code is needed, too"
    remedy = "Give the code that your app shows, or a recovery code, with the password."


class Forbidden(MasterError):
    type = "forbidden"
    title = "Not yours to do"
    status = 403
    remedy = "Ask an owner of the project for a role or a token that allows it."


class PaymentRequired(MasterError):
    type = "payment-required"
    title = "It must be paid for first"
    status = 402
    remedy = "Ask whoever pays for this project; the panel's costs page says how much is missing."


class ProjectSuspended(Forbidden):
    """Its provider suspended the project: it orders and starts nothing."""

    type = "project-suspended"
    title = "The project is suspended"
    remedy = "Its data is kept, and what it has can be destroyed. Ask the provider: tickets stay open."


class NotFound(MasterError):
    type = "not-found"
    title = "No such thing"
    status = 404
    remedy = "Check the name; `freehold list` shows what there is."


class MethodNotAllowed(MasterError):
    type = "method-not-allowed"
    title = "Not possible here"
    status = 405
    remedy = "The API description is at /api/v1/docs."


class Conflict(MasterError):
    type = "conflict"
    title = "It contradicts what is already there"
    status = 409
    remedy = "Look at the present state, then ask for something that fits it."


class TooLarge(MasterError):
    type = "too-large"
    title = "The request is too large"
    status = 413
    remedy = "Send less at once."


class Busy(MasterError):
    type = "busy"
    title = "The Master has more to do than it can"
    status = 503
    remedy = "Come again in a minute; nodes do so by themselves, and lose nothing."


class Unavailable(MasterError):
    type = "unavailable"
    title = "The Master cannot reach its database"
    status = 503
    remedy = "Try again in a minute; nodes do so by themselves, and services go on. Its operator sees why in its log."


class NotInstalled(MasterError):
    type = "not-installed"
    title = "The Master lacks a package"
    status = 503
    remedy = "Its operator installs it; `freehold master check` names what is missing."


class OutOfStorage(MasterError):
    type = "out-of-storage"
    title = "The Master has no place to write to"
    status = 507
    remedy = "Its operator makes room; nodes come again by themselves, and services go on. Then try again."


class WrongClock(MasterError):
    type = "wrong-clock"
    title = "The Master's clock is wrong"
    status = 503
    remedy = "Services go on. Its operator sets it right: freehold master check tells how."


class InDoubt(MasterError):
    type = "in-doubt"
    title = "The Master knows less than it did"
    status = 503
    remedy = "Services go on. Its operator decides: freehold master check tells how."


class TooManyTries(MasterError):
    type = "too-many-tries"
    title = "Too many tries"
    status = 429
    remedy = "Wait, then try again; an operator can set another password: freehold master person."


class QuotaExceeded(MasterError):
    type = "quota-exceeded"
    title = "A quota is used up"
    status = 403
    remedy = "Remove what is not needed any more, or ask the staff of this Master for a higher quota."


class Undeclared(MasterError):
    type = "undeclared-request"
    title = "The release does not declare this request"
    status = 403
    remedy = "Declare it in the release (`requests` of the type), and publish a new version."


class Invalid(MasterError):
    type = "invalid"
    title = "A value breaks a rule"
    status = 422
    remedy = "Correct the fields named in `errors`."


class InvalidParameters(Invalid):
    type = "invalid-parameters"
    title = "The parameters do not fit the release's schema"


class NoPlace(MasterError):
    type = "no-place"
    title = "No partition fits"
    status = 409
    remedy = "Loosen the constraints, or ask the provider to add a supply or a node; `reasons` says what was missing."


class NotWhole(NoPlace):
    """There is no room for all that a service is made of."""

    type = "not-whole"
    title = "Not all of it fits"
    remedy = "Order less of it, or ask the provider for more room; with `partial` it is taken all the same."
