"""Postgres: what is known, what is owed, what was booked, and what is still to be told."""
