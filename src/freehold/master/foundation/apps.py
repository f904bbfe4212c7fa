from typing import Any

from django.apps import AppConfig

from freehold.master.foundation import money


class Config(AppConfig):
    name = "freehold.master.foundation"
    label = "foundation"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.db.backends.signals import connection_created

        connection_created.connect(_give_arithmetic, dispatch_uid="money_share")


def _give_arithmetic(connection: Any, **_: object) -> None:
    """Give a connection to SQLite what PostgreSQL has by a migration: exact products of any size."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("money_share", 3, money.share, deterministic=True)
