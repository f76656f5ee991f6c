"""Addresses of the API, below `/api/`."""

from django.contrib.auth.decorators import login_required
from django.urls import include, path
from rest_framework.routers import SimpleRouter

from provisioning.api import views
from provisioning.api.schema import DocsView, SchemaView

app_name = "api"
router = SimpleRouter()
router.register("services", views.ServiceViewSet, basename="service")
router.register("operations", views.OperationViewSet, basename="operation")
router.register("events", views.EventViewSet, basename="event")
router.register("panels", views.PanelViewSet, basename="panel")
router.register("products", views.ProductViewSet, basename="product")
router.register("drifts", views.DriftViewSet, basename="drift")

urlpatterns = [
    path("v1/", include(router.urls)),
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", login_required(DocsView.as_view()), name="docs"),
]
