from django.apps import AppConfig


class Config(AppConfig):
    name = "freehold.master.notifications"
    label = "notifications"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from freehold.master.notifications import personal_data

        personal_data.listen()
