"""What a policy is known by: the same for the same decisions, in every process."""

import subprocess
import sys
from decimal import Decimal

import pytest

from syncd.mapping.policy import RatePolicy, Rule, fingerprint
from tests.builders import a_policy

PRINTED = """
from syncd.mapping.policy import fingerprint
from tests.builders import a_policy
print(fingerprint(a_policy()))
"""


@pytest.mark.parametrize(
    "changes",
    [
        {"issue_on": frozenset({"paid"})},
        {"on_rate_mismatch": RatePolicy.FOLLOW_LAW},
        {"payments": {"stripe": "CC"}},
        {"rules": (Rule(below=Decimal(5)),)},
    ],
    ids=str,
)
def test_another_decision_has_another_fingerprint(changes: dict[str, object]) -> None:
    assert fingerprint(a_policy(**changes)) != fingerprint(a_policy())


def test_the_order_of_sets_and_mappings_does_not_count() -> None:
    one, two = {"a": "MB", "b": "CC"}, {"b": "CC", "a": "MB"}
    assert fingerprint(a_policy(payments=one)) == fingerprint(a_policy(payments=two))


@pytest.mark.parametrize("seed", ["1", "2"])
def test_every_process_comes_to_the_same_fingerprint(seed: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", PRINTED], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
    )
    assert found.stdout.strip() == fingerprint(a_policy())
