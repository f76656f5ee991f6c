"""What staff ask of a panel: does the connection work, does a product fit, whose accounts can be linked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from provisioning import audit
from provisioning.choices import AccountState
from provisioning.desired import server_name
from provisioning.drivers import registry
from provisioning.drivers.types import Account, ConnectionReport, Desired, Finding, Runtime, Wanted
from provisioning.exceptions import PanelWaiting, SpecProblem
from provisioning.lib.names import fold_email
from provisioning.lifecycle.refresh import make_mark
from provisioning.models import Customer, Panel, PanelAccount, Product, Service
from provisioning.reconcile.accounts import account_link, shops_on, wanted_mark
from provisioning.reconcile.gate import gate_unpark
from provisioning.reconcile.transport import PanelTransport, driver_for

NOBODY_SIGNS_IN = "New accounts are not linked to the identity provider."
SHARED_PROVIDER = (
    "Several billing connections sell on this panel, and each may have a customer of the same user id: with "
    "a provider, one shop's customer could sign in as another's. Choose no provider, or give each shop a "
    "panel of its own."
)


def provider_problem(panel: Panel) -> str:
    """Why nobody is tied to the panel's identity provider, in words; empty if nothing speaks against it."""
    return SHARED_PROVIDER if panel.identity_provider and len(shops_on(panel)) > 1 else ""


def test_connection(panel: Panel) -> ConnectionReport:
    """Asks the panel all that the bridge needs of it (CAL-11). A test that succeeds ends a parking."""
    try:
        report = driver_for(panel, PanelTransport(panel, trial=True)).test_connection()
    except PanelWaiting as waiting:
        return ConnectionReport((Finding(False, "The test has to wait.", waiting.detail),))
    if report.ok:
        gate_unpark(panel=panel)
    problem = provider_problem(panel)
    if problem:
        # What we leave undone is no fault of the key: it comes after the parking has ended.
        report = replace(report, findings=(*report.findings, Finding(False, NOBODY_SIGNS_IN, problem)))
    return report


# Not a test case, whatever its name: pytest must not collect it.
test_connection.__test__ = False  # type: ignore[attr-defined]


def panel_unpark(panel: Panel) -> None:
    """Staff say that the key works again: everything that waited for it goes on."""
    gate_unpark(panel=panel)
    audit.record(service=None, action="panel.unpark", message=f"Panel “{panel}” was unparked by staff.")


def check_row(panel: Panel) -> dict[str, str]:
    """What the panel says against its own row, by field. Raises DriverError, PanelWaiting if it is silent."""
    return driver_for(panel, PanelTransport(panel, trial=True)).check_row()


def check_product(product: Product) -> dict[str, str]:
    """What the panel says against the product, by field path. Raises Unknown if the panel cannot be asked."""
    document, problems = _cleaned(product)
    return problems or driver_for(product.panel).check_target(document)


def _cleaned(product: Product) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The document as its driver's spec reads it, or what is wrong with it."""
    try:
        return registry.get(product.panel.driver).spec.clean(product.document), {}
    except SpecProblem as problem:
        return {}, problem.problems


def preview_payload(product: Product) -> dict[str, Any]:
    """The exact payload that the panel would get for an example customer. Raises SpecProblem."""
    example = Service(
        product=product,
        connection=product.connection,
        billing_id="12345",
        customer=Customer(connection=product.connection, email="ada@example.com"),
        external_id=make_mark(product.connection, "12345"),
    )
    document, problems = _cleaned(product)
    if problems:
        raise SpecProblem(problems)
    runtime = document.get("runtime") or {}
    wanted = Desired(
        state=Wanted.PRESENT,
        mark=example.external_id,
        name=server_name(example),
        owner="1",
        target=document.get("target") or {},
        limits=document.get("limits") or {},
        runtime=Runtime(
            runtime.get("image") or "", runtime.get("startup") or "", runtime.get("variables") or {}
        ),
        options=document.get("options") or {},
    )
    return driver_for(product.panel).preview(wanted)


# --- linking accounts that exist already ----------------------------------------------------------------


@dataclass(frozen=True)
class Proposal:
    """One panel account that may be a customer's. `ok` only where the safe rules allow the link."""

    customer: Customer
    account: Account
    ok: bool
    words: str

    @property
    def account_id(self) -> str:
        """The panel's id of the account."""
        return self.account.id

    @property
    def email(self) -> str:
        """The account's e-mail address on the panel."""
        return self.account.email


def propose_links(panel: Panel) -> list[Proposal]:
    """Which accounts of the panel look like customers without a link; a dry run that changes nothing.

    Reads every account over all pages. The rules are those of a create (DESIGN rule 6).
    """
    accounts = list(driver_for(panel, PanelTransport(panel, urgent=False)).accounts())
    taken = set(PanelAccount.objects.filter(panel=panel).values_list("panel_user_id", flat=True))
    by_mark = {account.mark: account for account in accounts if account.mark}
    by_email = {fold_email(account.email): account for account in accounts}
    doubled = {email for email, count in Counter(fold_email(a.email) for a in accounts).items() if count > 1}
    linked = PanelAccount.objects.filter(panel=panel, state=AccountState.LINKED).values("customer")
    customers = Customer.objects.exclude(pk__in=linked).select_related("connection").order_by("pk")
    found = []
    for customer in customers:
        account = by_mark.get(wanted_mark(customer, panel)) or by_email.get(customer.email_folded)
        if account:
            found.append(_judge(customer, account, panel, taken, doubled))
    return found


def _judge(
    customer: Customer, account: Account, panel: Panel, taken: set[str], doubled: set[str]
) -> Proposal:
    mark = wanted_mark(customer, panel)
    if account.is_admin:
        return Proposal(customer, account, False, "An administrator of the panel is never linked.")
    if account.id in taken:
        return Proposal(customer, account, False, "Linked to another customer already.")
    if account.mark == mark:
        return Proposal(customer, account, True, f"Same external id ({mark}).")
    if account.mark:
        return Proposal(customer, account, False, f"Carries another external id ({account.mark}).")
    if fold_email(account.email) in doubled:
        return Proposal(customer, account, False, "Several panel users have this e-mail address.")
    if not customer.email_verified:
        return Proposal(customer, account, False, "Billing has not verified this e-mail address.")
    return Proposal(customer, account, True, "Same e-mail address, verified by billing.")


def accounts_link(proposals: Iterable[Proposal], *, panel: Panel) -> int:
    """Links the confirmed proposals; one whose rules no longer hold is left out. Returns how many."""
    count = 0
    for proposal in proposals:
        row, _ = PanelAccount.objects.get_or_create(
            panel=panel, customer=proposal.customer, defaults={"mark": wanted_mark(proposal.customer, panel)}
        )
        taken = PanelAccount.objects.filter(panel=panel, panel_user_id=proposal.account_id)
        if proposal.ok and row.state != AccountState.LINKED and not taken.exclude(pk=row.pk).exists():
            account_link(row=row, account=proposal.account, service=None)
            count += 1
    return count
