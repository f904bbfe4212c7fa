from django.apps import AppConfig


class Config(AppConfig):
    name = "freehold.master.billing"
    label = "billing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from freehold.master.billing.customers import payment_sync
        from freehold.master.billing.subscriptions import on_order, plans

        on_order.listen()
        plans.listen()
        payment_sync.listen()
