"""In which order an amount is allocated: to the components of an invoice, and before that to several invoices."""

from enum import StrEnum


class AllocationOrder(StrEnum):
    """In which order the components are paid. The name says the order; each has its source in law or practice."""

    NOTICEFEE_INTEREST_CAPITAL = "noticefee-interest-capital"
    """Costs, interest, principal: BGB §367(1), PECL 7:109, UNIDROIT 6.1.12. The default."""
    NOTICEFEE_CAPITAL_INTEREST = "noticefee-capital-interest"
    """Costs, principal, interest: BGB §497(3), consumer loans."""
    INTEREST_CAPITAL_NOTICEFEE = "interest-capital-noticefee"
    INTEREST_NOTICEFEE_CAPITAL = "interest-noticefee-capital"
    CAPITAL_INTEREST_NOTICEFEE = "capital-interest-noticefee"
    """What a creditor expects of money that reached its own account: the preset for the type `directpayment`."""
    PRO_RATA = "pro-rata"
    """In proportion to what is open, by largest remainder."""


class Distribution(StrEnum):
    """Which of several invoices is paid first, where the payment names no amount for each."""

    OLDEST_DUE = "oldest-due"
    """By due date, those without one last. The default: the oldest debt first, as PECL 7:109 and BGB §366 end in."""
    EXACT_MATCH = "exact-match"
    """One whose open amount is just what was paid; where there is none, by due date."""
    HIGHEST_AMOUNT = "highest-amount"
    """By what is open, the most first; equal ones by due date."""
    PRO_RATA = "pro-rata"
    """All at once, in proportion to what is open, by largest remainder."""
