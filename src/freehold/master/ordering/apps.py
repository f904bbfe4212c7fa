from django.apps import AppConfig


class Config(AppConfig):
    name = "freehold.master.ordering"
    label = "ordering"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from freehold.master.ordering import sharing

        sharing.listen()
