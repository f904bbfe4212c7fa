from django.apps import AppConfig


class Config(AppConfig):
    name = "freehold.master.sales"
    label = "sales"
    default_auto_field = "django.db.models.BigAutoField"
