"""The companies and their policies."""

import json
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from schemas.orders import AllocationOrder, Distribution
from worker.books.rows import document
from worker.books.session import Connection
from worker.books.sql import query
from worker.domain.policy import DuplicateCheck, IdentifierRule, Overpayment, Policy, Treatment
from worker.limits import KEPT_COMPANIES_MAX


class KeptPolicies:
    """Policies as they were last read on a connection. look_up() finds out where one has been changed since."""

    def __init__(self) -> None:
        self._kept: dict[str, Policy] = {}
        self._read_on: Connection | None = None

    async def read(self, connection: Connection, companies: AbstractSet[str]) -> dict[str, Policy]:
        """Return the policies of the companies that exist. Asks for those that are not kept."""
        if connection is not self._read_on or len(self._kept) > KEPT_COMPANIES_MAX:
            self.forget()
        kept = self._kept  # forget() meanwhile must not make companies unknown
        if unknown := companies - kept.keys():
            kept |= await read_policies(connection, unknown)
        self._read_on = connection
        return {company: kept[company] for company in companies if company in kept}

    def forget(self) -> None:
        """Have all read anew."""
        self._kept = {}


async def read_policies(connection: Connection, companies: Iterable[str] | None = None) -> dict[str, Policy]:
    """Return the policies of the companies named that exist, or of all."""
    names = None if companies is None else list(companies)
    rows = await connection.fetch(query("policies"), names)
    return {
        row["company"]: Policy(
            company=row["company"],
            currency=row["currency"],
            allocation=AllocationOrder(row["allocation"]),
            allocation_for={name: AllocationOrder(order) for name, order in json.loads(row["allocation_for"]).items()},
            overpayment=Overpayment(row["overpayment"]),
            treat={name: Treatment(treatment) for name, treatment in json.loads(row["treat"]).items()},
            books_closed_until=row["books_closed_until"],
            duplicates=DuplicateCheck(row["duplicates"]),
            await_invoice_s=row["await_invoice_s"],
            hide_foreign=row["hide_foreign"],
            identifiers=IdentifierRule(row["identifiers"]),
            distribution=Distribution(row["distribution"]),
            tolerance_minor=row["tolerance_amount"],
            tolerance_percent=row["tolerance_percent"],
            gateways=frozenset(row["gateways"]),
            row_version=row["row_version"],
        )
        for row in rows
    }


async def put_policy(connection: Connection, policy: Policy) -> None:
    """Create the company or replace its policy; the next batch goes by it."""
    await connection.execute(
        query("put_company"),
        policy.company,
        policy.currency,
        policy.allocation,
        document(dict(policy.allocation_for)),
        policy.overpayment,
        document(dict(policy.treat)),
        policy.books_closed_until,
        policy.duplicates,
        policy.await_invoice_s,
        policy.hide_foreign,
        policy.identifiers,
        policy.distribution,
        policy.tolerance_minor,
        policy.tolerance_percent,
        sorted(policy.gateways),
    )
