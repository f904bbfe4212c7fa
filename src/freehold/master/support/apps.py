from django.apps import AppConfig


class Config(AppConfig):
    name = "freehold.master.support"
    label = "support"
    default_auto_field = "django.db.models.BigAutoField"
