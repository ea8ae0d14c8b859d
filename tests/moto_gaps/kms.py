"""KMS rotation: refusals that moto lacks, and a period that it forgets.

Asymmetric, HMAC and imported keys: UnsupportedOperationException; disabled ones: DisabledException; those being
deleted: KMSInvalidStateException. GetKeyRotationStatus tells the RotationPeriodInDays that EnableKeyRotation was given
(KMS API reference). moto makes an RSA key for every key, symmetric ones too: here all of one spec share one, since no
test signs with it.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import JsonRESTError
from moto.kms import models
from moto.kms.responses import KmsResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def install(patch: pytest.MonkeyPatch) -> None:
    """Fill the gaps until ``patch`` is undone."""
    patch.setattr(models, "generate_private_key", _private_key)
    patch.setattr(KmsResponse, "enable_key_rotation", _changing_rotation(KmsResponse.enable_key_rotation))
    patch.setattr(KmsResponse, "disable_key_rotation", _changing_rotation(KmsResponse.disable_key_rotation))
    patch.setattr(KmsResponse, "get_key_rotation_status", _rotation_status(KmsResponse.get_key_rotation_status))


_private_key = cache(models.generate_private_key)


def _key(response: KmsResponse) -> Any:
    backend = response.kms_backend
    return backend.keys[backend.get_key_id(response._get_param("KeyId"))]


def _refuse_ineligible(key: Any) -> None:
    if key.key_spec != "SYMMETRIC_DEFAULT" or key.origin != "AWS_KMS":
        raise JsonRESTError("UnsupportedOperationException", f"{key.arn} cannot rotate")


def _changing_rotation(real: Callable[[KmsResponse], str]) -> Callable[[KmsResponse], str]:
    def change(self: KmsResponse) -> str:
        self._validate_cmk_id(self._get_param("KeyId"))
        key = _key(self)
        _refuse_ineligible(key)
        if key.key_state == "Disabled":
            raise JsonRESTError("DisabledException", f"{key.arn} is disabled.")
        if key.key_state != "Enabled":
            raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is {key.key_state}.")
        key.rotation_period = self._get_param("RotationPeriodInDays") or 365
        return real(self)

    return change


def _rotation_status(real: Callable[[KmsResponse], str]) -> Callable[[KmsResponse], str]:
    def status(self: KmsResponse) -> str:
        answer = json.loads(real(self))
        key = _key(self)
        _refuse_ineligible(key)
        if answer["KeyRotationEnabled"]:
            answer["RotationPeriodInDays"] = getattr(key, "rotation_period", 365)
        return json.dumps({**answer, "KeyId": key.arn})

    return status
