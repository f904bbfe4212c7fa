from django.apps import AppConfig


class Config(AppConfig):
    name = "freehold.master.billing"
    label = "billing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from freehold.master.billing import orders, receipts

        orders.listen()
        receipts.listen()
