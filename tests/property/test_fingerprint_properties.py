import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import TODAY, a_message, a_policy
from worker.domain.request import Request, read_request

NAMES = st.sampled_from(["a", "b", "1", "01", "ä"])
BODIES = st.fixed_dictionaries(
    {
        "amount": st.sampled_from(["1", "1.0", "1.00", 1, 1.5, "1.50", "10"]),
        "paydate": st.sampled_from(["2017-10-10", "2017-10-11"]),
        "billcode": NAMES,
    },
    optional={
        "jobid": st.sampled_from([1, "1", "01", 2, None, ""]),
        "billnum": NAMES | st.none(),
        "identifier": NAMES | st.just(""),
        "type": NAMES,
        "creditnotebillnum": NAMES,
        "description": NAMES,
        "unknown": NAMES,
    },
)


@st.composite
def near_bodies(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two bodies that often mean the same: the second is the first in another order, with a few fields drawn anew."""
    one, other = draw(BODIES), draw(BODIES)
    taken = draw(st.sets(st.sampled_from(sorted(one.keys() | other.keys())), max_size=2))
    mixed = {name: value for name, value in one.items() if name not in taken}
    mixed |= {name: other[name] for name in taken if name in other}
    if "amount" not in mixed:
        mixed["amount"] = one["amount"]
    return one, dict(draw(st.permutations(sorted(mixed.items()))))


def read(body: dict[str, Any]) -> Request:
    return read_request(a_message(json.dumps(body).encode()), a_policy(), TODAY)


@given(near_bodies() | st.tuples(BODIES, BODIES))
def test_two_messages_have_one_fingerprint_exactly_where_they_are_one_registration(
    bodies: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    one, other = (read(body) for body in bodies)
    assert one.registration is not None
    assert other.registration is not None
    assert (one.fingerprint == other.fingerprint) == (one.registration == other.registration)
    assert one.fingerprint is not None
    assert len(one.fingerprint) == 32
