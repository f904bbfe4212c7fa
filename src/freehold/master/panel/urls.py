"""The addresses of the panel. A part `-` ends a title, which never begins with a dash."""

from django.urls import path
from django.views.i18n import set_language

from freehold.master.panel import account, fleet, members, money, orders, proofs, services, session, support, tasks

_SERVICE = "services/<str:project>/<path:title>"
_FLEET = "fleet/<str:project>"

urlpatterns = [
    path("login", session.log_in, name="login"),
    path("login/code", session.log_in_code, name="login-code"),
    path("login/passkey", session.log_in_passkey, name="login-passkey"),
    path("logout", session.log_out, name="logout"),
    path("reset", session.reset, name="reset"),
    path("join", session.join, name="join"),
    path("account", account.sessions, name="account"),
    path("account/password", account.password, name="account-password"),
    path("account/security", proofs.overview, name="account-security"),
    path("account/tokens", account.tokens, name="account-tokens"),
    path("language", set_language, name="language"),
    path("", services.index, name="instances"),
    path(f"{_SERVICE}/-/live", services.live, name="instance-live"),
    path(f"{_SERVICE}/-/secret", services.reveal, name="instance-secret"),
    path(f"{_SERVICE}/-/state", services.change_state, name="instance-state"),
    path(f"{_SERVICE}/-/protection", services.protect, name="instance-protection"),
    path(f"{_SERVICE}/-/change", orders.change, name="instance-change"),
    path(f"{_SERVICE}/-/destroy", services.destroy, name="instance-destroy"),
    path(f"{_SERVICE}/-/ask", support.ask, name="ask"),
    path(_SERVICE, services.instance, name="instance"),
    path("catalogue", orders.catalogue, name="catalogue"),
    path("catalogue/<str:product>", orders.order, name="order"),
    path("prices", money.prices, name="prices"),
    path("prices/evidence/<str:digest>", money.evidence, name="evidence"),
    path("costs", money.choose_costs, name="costs-choice"),
    path("costs/<str:project>", money.project_costs, name="costs"),
    path("costs/<str:project>/documents/<str:number>", money.invoice, name="invoice"),
    path("books", money.choose_books, name="books-choice"),
    path("books/<str:code>", money.books, name="books"),
    path("books/<str:code>/act", money.act, name="books-act"),
    path("books/<str:code>/documents/<str:number>", money.sold, name="sold"),
    path("books/<str:code>/reports/<str:name>.csv", money.report_as_csv, name="report-csv"),
    path("books/<str:code>/exports/<str:name>", money.export, name="books-export"),
    path("tickets", support.tickets, name="tickets"),
    path("tickets/<str:project>/<str:identity>", support.ticket, name="ticket"),
    path("tasks", tasks.overview, name="tasks"),
    path("members", members.choose, name="members-choice"),
    path("members/<str:project>", members.overview, name="members"),
    path("fleet", fleet.choose, name="fleet-choice"),
    path(_FLEET, fleet.overview, name="fleet"),
    path(f"{_FLEET}/sites", fleet.add_site, name="add-site"),
    path(f"{_FLEET}/sites/<str:name>", fleet.change_site, name="change-site"),
    path(f"{_FLEET}/enrol", fleet.enrol, name="enrol"),
    path(f"{_FLEET}/nodes/<str:title>", fleet.node, name="node"),
    path(f"{_FLEET}/supplies", fleet.supplies, name="supplies"),
    path(f"{_FLEET}/supplies/<str:identity>", fleet.supply, name="supply"),
    path(f"{_FLEET}/supplies/<str:identity>/log", fleet.build_log, name="build-log"),
]
