"""Django's part of the one port."""

from django.urls import path

from freehold.master.api import api
from freehold.master.fleet import pages as fleet
from freehold.master.panel import pages as panel

urlpatterns = [
    path("api/v1/", api.urls),
    path("authority.pem", fleet.authority_pem),
    path("node/v1/enrol", fleet.enrol),
    path("node/v1/certificate", fleet.node_certificate),
    path("node/v1/instances/<str:instance>/certificate", fleet.instance_certificate),
    path("node/v1/releases/<str:release>", fleet.release_archive),
    path("login", panel.log_in, name="login"),
    path("logout", panel.log_out, name="logout"),
    path("", panel.instances, name="instances"),
    path("<str:project>/<str:title>", panel.instance, name="instance"),
]
handler404 = panel.not_found
