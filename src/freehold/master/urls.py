"""Django's part of the one port."""

from django.urls import URLPattern, URLResolver, include, path

from freehold.master.api import api
from freehold.master.builds import pages as builds
from freehold.master.fleet import pages as fleet
from freehold.master.foundation import declared
from freehold.master.offline_sync import pages as courier

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", api.urls),
    path("authority.pem", fleet.authority_pem),
    path("node/v1/enrol", fleet.enrol),
    path("node/v1/certificate", fleet.node_certificate),
    path("node/v1/epoch", fleet.node_epoch),
    path("node/v1/instances/<str:instance>/certificate", fleet.instance_certificate),
    path("node/v1/cache/builder", builds.builder),
    path("node/v1/cache/blobs/<str:start>/<str:piece>", builds.blob),
    path("node/v1/cache/entries/<str:kind>/<str:release>/<str:platform>.json", builds.entries),
    path("node/v1/letters", courier.deliver),
    path("node/v1/releases/<str:release>", fleet.release_archive),
    path("", include("freehold.master.panel.urls")),
]
# The API's operations declare their rights in `api.auth`; the choice of a language is Django's own, for anybody.
declared.check(urlpatterns, ("api/v1/", "language"))
handler404 = "freehold.master.panel.decorators.not_found"
handler500 = "freehold.master.panel.decorators.failed"
