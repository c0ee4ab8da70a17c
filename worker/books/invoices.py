"""The invoices as the table has them."""

from collections.abc import Mapping
from typing import Any

from schemas.invoice import Account, InvoicePut
from schemas.registration import IDENTIFIER_KINDS
from worker.domain.allocation import Components
from worker.domain.invoice import Invoice


def named_columns(put: InvoicePut) -> tuple[object, ...]:
    """Return what a statement names, as the columns jobid to account_name hold it."""
    account = put.account or Account()
    return (
        put.jobid,
        put.billcode,
        put.billnum,
        put.reference_number,
        put.back_office_code,
        put.external_id,
        account.id,
        account.number,
        account.name,
    )


def to_invoice(row: Mapping[str, Any]) -> Invoice:
    """Return the invoice that a row of the table says."""
    return Invoice(
        id=row["id"],
        company=row["company"],
        identifiers={kind: str(row[kind]) for kind in IDENTIFIER_KINDS if row[kind] is not None},
        currency=row["currency"],
        stated_state=row["stated_state"],
        version=row["version"],
        stated=Components(row["capital"], row["interest"], row["noticefee"]),
        allocated=Components(row["capital_allocated"], row["interest_allocated"], row["noticefee_allocated"]),
        account_id=row["account_id"],
        account_number=row["account_number"],
        account_name=row["account_name"],
        due_date=row["due_date"],
    )
