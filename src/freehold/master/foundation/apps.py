from django.apps import AppConfig


class Config(AppConfig):
    name = "freehold.master.foundation"
    label = "foundation"
    default_auto_field = "django.db.models.BigAutoField"
