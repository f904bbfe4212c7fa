from django.apps import AppConfig


class Config(AppConfig):
    name = "freehold.master.accounting"
    label = "accounting"
    default_auto_field = "django.db.models.BigAutoField"
