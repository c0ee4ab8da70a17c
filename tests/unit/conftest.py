import pytest


@pytest.fixture(params=[True, False], ids=["in one batch", "one by one"])
def is_one_batch(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)
