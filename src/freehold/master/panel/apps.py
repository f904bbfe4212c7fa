from django.apps import AppConfig


class Config(AppConfig):
    name = "freehold.master.panel"
    label = "panel"
