from tests.integration.conftest import site

__all__ = ["site"]
