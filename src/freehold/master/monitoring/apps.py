from django.apps import AppConfig


class Config(AppConfig):
    name = "freehold.master.monitoring"
    label = "monitoring"
    default_auto_field = "django.db.models.BigAutoField"
