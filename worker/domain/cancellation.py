"""What is to become of a cancellation."""

from schemas.outcome import Status
from schemas.registration import Cancellation
from worker.domain.booking import counter_entries
from worker.domain.policy import Policy
from worker.domain.verdict import CancelledPayment, Reason, Verdict
from worker.domain.view import View


def cancel(cancellation: Cancellation, view: View, policy: Policy) -> Verdict:
    """Return the verdict on a cancellation; whatever it is, the payment that it names will not be booked from now on.

    That holds also for a payment that has not come yet: queues deliver out of order.
    """
    name = policy.company, cancellation.payment_key
    held = view.held[name]
    named = CancelledPayment(cancellation.payment_key, held.payment_id if held.has_come else None)
    if held.is_cancellation:
        text = "The key belongs to a cancellation, which cannot be cancelled: register the payment under a new key"
        return Verdict(Status.FAIL, Reason.PAYMENT_IS_CANCELLATION, text, cancels=named)
    if held.is_booked:
        if held.is_cancelled:
            text = "The payment was cancelled before; nothing changes"
            return Verdict(Status.CANCELLED, Reason.ALREADY_CANCELLED, text, cancels=named)
        booking = view.bookings[name]
        lines = counter_entries(booking, view.invoices)
        text = "The payment has been cancelled; what it had paid is open again"
        return Verdict(
            Status.CANCELLED, Reason.CANCELLED, text, lines, -booking.surcharge_minor, booking.wallet_id, cancels=named
        )
    if held.has_come:
        text = "The payment was not booked; it will not be"
        return Verdict(Status.CANCELLED, Reason.PAYMENT_NOT_BOOKED, text, cancels=named)
    if not policy.hide_foreign and view.is_foreign_payment(name):
        text = "The payment is another company's"
        return Verdict(Status.DIFFCID, Reason.PAYMENT_OF_ANOTHER_COMPANY, text, cancels=named)
    text = "No payment under that key; should it come, it will not be booked"
    return Verdict(Status.NOT_FOUND, Reason.PAYMENT_NOT_FOUND, text, cancels=named)
