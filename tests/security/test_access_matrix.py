"""Every address, by GET and POST, for each role: one table (bar B18). An address without an entry fails."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client

from provisioning.lifecycle.product_versions import product_follow_start, product_version_store
from provisioning.lifecycle.trials import product_trial_start
from tests.provisioning.admin.staffing import world
from tests.security.addresses import path, templates
from tests.security.roles import ROLES

pytestmark = pytest.mark.django_db

RECORDS = "service|operation|event|drift|customer|panelaccount|auditentry|notification"
RECORDS += "|heartbeat|installation|apitoken"
SET_UP = "panel|product|gracepolicy|billingconnection|webhookendpoint"
ROWS = r"(change/|history/)?"
KINDS: dict[str, str] = {
    r"/": "way in",
    r"/livez|/readyz": "health",
    r"/webhooks/\{address\}/?": "webhook",
    r"/accounts/(login|logout|inactive)/": "open",
    r"/accounts/(reauthenticate|password/change)/": "own",
    r"/accounts/2fa/(\w+/)*": "own",
    r"/accounts/2fa/recovery-codes/(generate/|download/)?": "own",
    r"/accounts/2fa/webauthn/keys/\{pk\}/(edit|remove)/": "own",
    r"/admin/(|jsi18n/|search/|password_change/|password_change/done/)": "any staff",
    r"/admin/(login|logout)/": "open",
    r"/admin/(autocomplete/|r/\{content_type_id\}/\{object_id\}/|\{url\}|\{app_label\}/)": "nothing",
    rf"/admin/provisioning/({RECORDS})/": "look",
    rf"/admin/provisioning/({RECORDS})/\{{object_id\}}/{ROWS}": "look",
    rf"/admin/provisioning/({RECORDS})/(add/|\{{object_id\}}/delete/)": "never",
    r"/admin/auditlog/logentry/(\{object_id\}/)?" + ROWS: "look",
    r"/admin/auditlog/logentry/(add/|\{object_id\}/delete/)": "never",
    rf"/admin/(provisioning/({SET_UP})|auth/(user|group))/": "look",
    rf"/admin/(provisioning/({SET_UP})|auth/(user|group))/\{{object_id\}}/{ROWS}": "look",
    rf"/admin/(provisioning/({SET_UP})|auth/(user|group))/(add/|\{{object_id\}}/delete/)": "act",
    rf"/admin/provisioning/({RECORDS}|{SET_UP})/\{{pk\}}/do/\{{slug\}}/": "act",
    r"/admin/provisioning/panel/\{pk\}/(test|brake|brake/creates|accounts)/": "act",
    r"/admin/provisioning/webhookendpoint/\{pk\}/secret/": "act",
    r"/admin/provisioning/apitoken/make/": "act",
    r"/admin/provisioning/service/\{pk\}/preview/": "act",
    r"/admin/provisioning/product/\{pk\}/preview/": "look",
    r"/admin/provisioning/product/form/(options|document|parts|variable|lists)/": "act",
    r"/admin/provisioning/product/\{pk\}/(follow|try)/": "act",
    r"/admin/provisioning/product/\{pk\}/(follow|try)/\{number\}/": "look",
    r"/admin/auth/user/\{id\}/password/": "act",
    r"/api/v1/(services|operations|events|panels|products|drifts)/(\{pk\}/)?": "api",
    r"/api/schema/": "schema",
    r"/api/docs/": "docs",
}
"""Which kind of address each is; the whole path has to fit."""

Words = frozenset[str]
STRANGERS = ("anonymous", "gone", "token", "bare_token", "ended_token", "gone_token")
"""On pages for people a token is nobody."""


def kind_of(template: str) -> str:
    """The one kind that fits; fails for none and for two."""
    kinds = {kind for pattern, kind in KINDS.items() if re.fullmatch(pattern, template)}
    assert len(kinds) == 1, f"{template}: add it to the access matrix ({kinds or 'no entry'})"
    return kinds.pop()


def word(answer: Any) -> str:
    """What an answer means to the person."""
    place = answer.headers.get("Location", "")
    if answer.status_code in (301, 302):
        if re.match(r"/(accounts|admin)/login/", place):
            return "sign in"
        return "factor" if re.match(r"/accounts/(2fa/totp/activate|2fa/reauth)", place) else "elsewhere"
    return {200: "yes", 503: "yes", 401: "no", 403: "no", 404: "none", 405: "method"}[answer.status_code]


@pytest.mark.req("T83-40")
def test_every_address_has_one_entry() -> None:
    found = [kind_of(template) for template in templates()]
    assert len(found) > 100


PAGES = ("own", "any staff", "look", "never", "act", "nothing", "docs")
PEOPLE = ("customer", "half", "bare", "viewer", "root")
SIGN_IN, FACTOR, NO, HERE = (
    frozenset({"sign in/sign in"}),
    frozenset({"factor/factor"}),
    frozenset({"no/no", "no/method"}),
    frozenset({"yes/yes", "yes/method"}),
)
MATRIX: dict[str, dict[str, Words]] = {
    "way in": {**dict.fromkeys(ROLES, frozenset({"elsewhere/elsewhere"})), "half": FACTOR},
    "health": dict.fromkeys(ROLES, frozenset({"yes/method"})),
    "webhook": dict.fromkeys(ROLES, frozenset({"method/no"})),
    **{kind: dict.fromkeys(STRANGERS, SIGN_IN) for kind in PAGES},
    "open": {},
    "api": {
        **dict.fromkeys(ROLES, NO),
        "half": FACTOR,
        **dict.fromkeys(("viewer", "root", "token"), frozenset({"yes/method"})),
    },
    "schema": {
        **dict.fromkeys(ROLES, frozenset({"yes/method"})),
        **dict.fromkeys(("anonymous", "gone", "customer", "ended_token", "gone_token"), NO),
        "half": FACTOR,
    },
}
MATRIX["any staff"] |= {"customer": SIGN_IN, "half": FACTOR, "bare": HERE, "viewer": HERE, "root": HERE}
MATRIX["docs"] |= {"customer": NO, "half": FACTOR, "bare": HERE, "viewer": HERE, "root": HERE}
# Django leads a row's bare address to its page, whose right is asked there.
LOOKED = frozenset({"yes/yes", "yes/no", "elsewhere/elsewhere"})
MATRIX["look"] |= {
    "customer": SIGN_IN,
    "half": FACTOR,
    "bare": NO | frozenset({"elsewhere/elsewhere"}),
    "viewer": LOOKED,
}
MATRIX["never"] |= {"customer": SIGN_IN, "half": FACTOR, "bare": NO, "viewer": NO, "root": NO}
# Two models have no actions, and people are never deleted.
REFUSED = NO | frozenset({"none/none", "elsewhere/elsewhere"})
DONE = HERE | frozenset({"yes/elsewhere", "elsewhere/elsewhere", "none/none"})
MATRIX["act"] |= {"customer": SIGN_IN, "half": FACTOR, "bare": REFUSED, "viewer": REFUSED, "root": DONE}
MATRIX["nothing"] |= {
    "customer": SIGN_IN,
    "half": FACTOR,
    **dict.fromkeys(("bare", "viewer", "root"), NO | frozenset({"none/none", "yes/yes"})),
}
OWN = HERE | frozenset({"elsewhere/elsewhere", "none/none", "none/method"})
MATRIX["own"] |= dict.fromkeys(PEOPLE, OWN)


def answered(client: Client, template: str) -> str:
    """GET and POST of one address, each as if nothing had been asked before."""
    jar = copy.deepcopy(client.cookies)
    words = []
    for ask in (client.get, client.post):
        before = transaction.savepoint()
        client.cookies = copy.deepcopy(jar)
        words.append(word(ask(path(template))))
        transaction.savepoint_rollback(before)
    client.cookies = jar
    return "/".join(words)


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API counts calls; the matrix makes many."""
    monkeypatch.setattr("provisioning.api.permissions.CallerThrottle.allow_request", lambda *args: True)


@pytest.mark.slow
@pytest.mark.req("T83-40")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.usefixtures("unlimited")
def test_role_reaches_exactly_what_the_matrix_says(role: str) -> None:
    w = world()
    type(w.panel).objects.update(url="http://127.0.0.1:9", allow_private=True, allow_plain_http=True)
    Group.objects.create(name="readers")
    product_follow_start(version=product_version_store(product=w.product))
    product_trial_start(product=w.product)
    client = ROLES[role]()
    wrong = {}
    for template in templates():
        expected = MATRIX[kind_of(template)].get(role)
        if expected is not None and (found := answered(client, template)) not in expected:
            wrong[template] = found
    assert wrong == {}


def test_matrix_names_every_role_of_every_kind() -> None:
    left_out = {("open", role) for role in ROLES} | {("look", "root")}
    missing = {(kind, role) for kind in KINDS.values() for role in ROLES if role not in MATRIX[kind]}
    assert missing == left_out
