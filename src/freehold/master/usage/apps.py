from django.apps import AppConfig


class Config(AppConfig):
    name = "freehold.master.usage"
    label = "usage"
    default_auto_field = "django.db.models.BigAutoField"
