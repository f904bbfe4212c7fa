from django.apps import AppConfig


class Config(AppConfig):
    name = "freehold.master.tasks"
    label = "tasks"
    default_auto_field = "django.db.models.BigAutoField"
