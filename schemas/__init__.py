"""What travels between teams: the messages, their vocabulary and their limits. Imports nothing of the worker."""
