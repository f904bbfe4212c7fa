from django.apps import AppConfig


class Config(AppConfig):
    name = "freehold.master.support"
    label = "support"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from freehold.master.support import personal_data

        personal_data.listen()
