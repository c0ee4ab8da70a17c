"""Every property is tried on as many examples, with no clock on each: the machine may be busy."""

from hypothesis import HealthCheck, settings

settings.register_profile("properties", max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("properties")
