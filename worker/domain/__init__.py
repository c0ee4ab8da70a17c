"""The rules, pure: no clock, no database, no broker, no log."""
