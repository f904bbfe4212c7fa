from django.apps import AppConfig


class Config(AppConfig):
    name = "freehold.master.fleet"
    label = "fleet"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from freehold.master.fleet import actions

        actions.listen()
