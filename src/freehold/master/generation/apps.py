from django.apps import AppConfig


class Config(AppConfig):
    name = "freehold.master.generation"
    label = "generation"
    default_auto_field = "django.db.models.BigAutoField"
