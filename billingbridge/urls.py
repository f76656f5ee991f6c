"""Addresses of the whole site."""

from allauth.account import views as account
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from billingbridge import health

# Only what staff need; sign-up, social accounts and e-mail management do not exist here.
accounts = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("2fa/", include("allauth.mfa.urls")),
]

handler404 = "billingbridge.views.not_found"
handler500 = "billingbridge.views.broken"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("accounts/", include(accounts)),
    path("admin/", admin.site.urls),
    path("webhooks/", include("provisioning.webhooks.urls")),
    path("api/", include("provisioning.api.urls")),
]
