"""The minimum of AWS calls to handle one event, per control, with which the measured calls are compared.

Counted by hand from the services' API references: which call shows the violation, which fixes it, and whether its
answer proves the fix or another read has to.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Minimum:
    """The fewest calls for one weak resource. ``acts`` find and fix it; ``proof`` reads again.

    ``more`` is the number of calls beyond ``acts`` that the control may make, and ``why`` is their purpose.
    """

    acts: int = 2
    proof: int = 0
    more: int = 0
    why: str = ""

    @property
    def calls(self) -> int:
        """Return the number of all calls."""
        return self.acts + self.proof


_HOME = "is the bucket this account's, in this region"
_TABLE: dict[str, Minimum] = {
    "cloudtrail-logging": Minimum(
        proof=1, more=2, why="does the trail select management events, and who else is heard"
    ),
    "dynamodb-deletion-protection": Minimum(),
    "dynamodb-point-in-time-recovery": Minimum(),
    "ec2-ebs-default-encryption": Minimum(),
    "ec2-security-group-open-ingress": Minimum(),
    "kms-key-rotation": Minimum(proof=1, more=1, why="can this key rotate at all"),
    "lambda-deprecated-runtime": Minimum(acts=1),
    "lambda-xray-tracing": Minimum(),
    "logs-group-encryption": Minimum(proof=1),
    "logs-group-retention": Minimum(proof=1),
    "rds-deletion-protection": Minimum(),
    "rds-public-access": Minimum(),
    "s3-bucket-public-access-block": Minimum(
        proof=1, more=4, why=f"{_HOME}; who would be shut out: policy, ownership; what the access control list opens"
    ),
    "s3-tls-only-policy": Minimum(
        proof=1, more=4, why=f"{_HOME}; who else comes in: block, ACLs; the policy once more, right before it is put"
    ),
    "s3-versioning": Minimum(proof=1, more=1, why=_HOME),
    "tagging-required-tags": Minimum(more=1, why="what has no tags may not be there, or take none"),
}


def minimum(control_id: str) -> Minimum:
    """Return a control's minimum.

    Raises:
        LookupError: there is none yet.
    """
    if control_id not in _TABLE:
        raise LookupError(f"{control_id} has no minimum of calls; add it to benchmarks/minimum.py")
    return _TABLE[control_id]
