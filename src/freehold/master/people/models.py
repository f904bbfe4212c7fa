"""Persons, projects and what they may do."""

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models import F, Q
from django.utils.crypto import salted_hmac


class Role(models.TextChoices):
    """What a person is in a project; `identity.RIGHTS` says what each may do."""

    CUSTOMER = "customer"
    """Orders services."""
    OPERATOR = "operator"
    """Also publishes releases and runs sites, nodes and supplies."""
    SALES = "sales"
    """Makes offers and prices, and knows the customers."""
    ACCOUNTANT = "accountant"
    """Keeps the books: payments, entries, locks, monthly runs."""
    AUDITOR = "auditor"
    """Reads the books and changes nothing."""
    OWNER = "owner"
    """May all of it, and decides who else is in the project."""


class Person(AbstractBaseUser):
    """A human who logs in."""

    id = models.TextField(primary_key=True)
    email = models.EmailField(unique=True)
    name = models.TextField(default="")
    language = models.TextField(default="")
    """In which messages to them are written; empty: the Master's own."""
    is_staff = models.BooleanField(default=False)
    """Runs the Master itself: may create projects and persons."""
    is_active = models.BooleanField(default=True)
    created_at = models.BigIntegerField()
    sessions_since = models.BigIntegerField(default=0)
    """Sessions that were opened before this moment have ended."""

    objects = BaseUserManager()

    USERNAME_FIELD = "email"

    def get_session_auth_hash(self) -> str:
        """Return what each session holds a copy of: all sessions end when it changes, with the password or by will."""
        return salted_hmac(
            "freehold.sessions", f"{self.password}:{self.sessions_since}", algorithm="sha256"
        ).hexdigest()


class Session(AbstractBaseSession):
    """A browser in which a person is logged in, as `sessions.SessionStore` writes it: `session_data` says the same."""

    public_id = models.TextField(unique=True, null=True)
    """How people name it; its key opens it."""
    person = models.ForeignKey(Person, on_delete=models.CASCADE, null=True)
    """None for the moment between its making and the log-in."""
    began_at = models.BigIntegerField()
    seen_at = models.BigIntegerField()
    address = models.TextField()
    """The network address from which somebody logged in."""
    browser = models.TextField()
    """As it said of itself."""


class Project(models.Model):
    """The tenant: people with roles, nodes, orders."""

    id = models.TextField(primary_key=True)
    name = models.TextField(unique=True)
    created_at = models.BigIntegerField()


class QuotaLimit(models.Model):
    """A project's quota where it is not the usual one (`quotas.USUAL`)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    name = models.TextField()
    most = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_limit_a_quota"),
            models.CheckConstraint(condition=Q(most__gte=0), name="quota_not_negative"),
        ]


class Membership(models.Model):
    """A person's role in a project."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    role = models.TextField(choices=Role.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "project"], name="one_role_a_project"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="known_role"),
        ]


class PasswordReset(models.Model):
    """A person may set another password without the old one, once, with a code of which the hash is kept here."""

    person = models.OneToOneField(Person, on_delete=models.CASCADE, primary_key=True)
    digest = models.TextField(unique=True)
    made_at = models.BigIntegerField()
    expires_at = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(expires_at__gt=F("made_at")), name="reset_expires_later"),
        ]


class MailLetter(models.Model):
    """What is to be written to an e-mail address that somebody gave, whether or not an account is behind it."""

    id = models.TextField(primary_key=True)
    kind = models.TextField()
    """`letters.LetterKind`."""
    email = models.TextField()
    """In lower case."""
    language = models.TextField()
    """In which it is written to who has chosen none; empty: the Master's own."""
    digest = models.TextField(unique=True, null=True)
    """Hash of its code, which stands nowhere (`letters.code_of`); None: it has none."""
    detail = models.TextField(default="")
    """What somebody said for it."""
    made_at = models.BigIntegerField()
    expires_at = models.BigIntegerField()
    is_passed_on = models.BooleanField(default=False)
    """Whether its message is made; one that nobody may read has none."""

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(expires_at__gt=F("made_at")), name="letter_expires_later"),
        ]
        indexes = [
            models.Index(fields=["email", "made_at"], name="letter_to_address"),
            models.Index(fields=["id"], name="letter_waiting", condition=Q(is_passed_on=False)),
        ]


class SignUpSettings(models.Model):
    """Who may sign up: one row, with the id 1, once staff said something."""

    mode = models.TextField()
    """`sign_up.SignUpMode`."""


class SignUp(models.Model):
    """Somebody wants an account: until a letter proves their address, and then until staff accepts or refuses them."""

    id = models.TextField(primary_key=True)
    letter = models.OneToOneField(MailLetter, on_delete=models.CASCADE, null=True)
    """Which ends with it; None once the address is proven."""
    email = models.TextField()
    """In lower case."""
    name = models.TextField()
    language = models.TextField()
    password = models.TextField()
    """Hash."""
    terms = models.TextField()
    """Ids of the versions that were accepted, with spaces between."""
    made_at = models.BigIntegerField()
    confirmed_at = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(letter__isnull=False, confirmed_at__isnull=True)
                | Q(letter__isnull=True, confirmed_at__isnull=False),
                name="sign_up_is_proven_or_has_a_letter",
            ),
            models.UniqueConstraint(
                fields=["email"], name="one_waits_of_an_address", condition=Q(confirmed_at__isnull=False)
            ),
        ]


class Newcomer(models.Model):
    """A project whose person came by themselves and for which nothing was paid yet: it has smaller quotas."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True)


class TermsVersion(models.Model):
    """A text of the provider that people agree to, as it was; never changed."""

    id = models.TextField(primary_key=True)
    """`KIND-NUMBER`."""
    kind = models.TextField()
    """`terms.TermsKind`."""
    number = models.IntegerField()
    text = models.TextField()
    """The text, or the address of a page."""
    published_at = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "number"], name="one_version_a_number")]


class AcceptedTerms(models.Model):
    """A person accepted a version."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, db_index=False)
    version = models.ForeignKey(TermsVersion, on_delete=models.PROTECT)
    at = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "version"], name="accepted_once")]


class Invitation(models.Model):
    """Somebody may come into a project, once, with a code of which the hash is kept here."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, db_index=False)
    email = models.TextField()
    """In lower case."""
    role = models.TextField(choices=Role.choices)
    maker = models.ForeignKey(Person, on_delete=models.CASCADE, null=True)
    digest = models.TextField(unique=True)
    made_at = models.BigIntegerField()
    expires_at = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "email"], name="one_invitation_a_project"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="known_role_of_invitation"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("made_at")), name="invitation_expires_later"),
        ]


class Authenticator(models.Model):
    """The app whose codes a person logs in with, besides the password."""

    person = models.OneToOneField(Person, on_delete=models.CASCADE, primary_key=True)
    key = models.TextField()
    """Encrypted."""
    last_step = models.BigIntegerField()
    """The last half minute of which a code was used: no code is good twice."""
    made_at = models.BigIntegerField()


class RecoveryCode(models.Model):
    """A code that stands in for the app once; only its hash is kept."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    digest = models.TextField(unique=True)


class Passkey(models.Model):
    """A key of a device, with which a person logs in."""

    id = models.TextField(primary_key=True)
    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    credential = models.TextField(unique=True)
    """How the device names it, hexadecimal."""
    key = models.TextField()
    """The public one with its names, as WebAuthn writes them (6.5.1), hexadecimal."""
    uses = models.BigIntegerField()
    """As the device counts them; 0: it does not."""
    host = models.TextField()
    """The name of the Master that it is for."""
    title = models.TextField()
    made_at = models.BigIntegerField()
    used_at = models.BigIntegerField(null=True)


class ApiToken(models.Model):
    """A program's way in. Only its hash is kept; it is shown once."""

    id = models.TextField(primary_key=True)
    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, null=True)
    """When set, the token opens this project only."""
    title = models.TextField()
    digest = models.TextField(unique=True)
    scopes = models.TextField()
    """Space-separated: read, order, operate."""
    created_at = models.BigIntegerField()
    expires_at = models.BigIntegerField()
    revoked_at = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="token_expires_later"),
        ]
