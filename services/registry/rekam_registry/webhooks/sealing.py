"""Secrets as the log keeps them: sealed, so that whoever reads it cannot sign."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from rekam_runtime.errors import FailedPrecondition, Invalid

SETTING = "REKAM_WEBHOOK_KEYS"


class Sealer:
    """Seals with the first key, opens with any: a new one goes in front of the old ones."""

    def __init__(self, keys: Sequence[str]) -> None:
        """keys: of Fernet, 32 bytes in URL-safe base64 each; raises Invalid that does not tell them."""
        try:
            self._keys = MultiFernet([Fernet(key) for key in keys]) if keys else None
        except ValueError:
            raise Invalid(f"{SETTING}: each is a Fernet key, 32 bytes in URL-safe base64") from None

    def seal(self, secret: str) -> bytes:
        """Nothing of nothing."""
        if not secret:
            return b""
        if self._keys is None:
            raise FailedPrecondition(
                f"this registry has no key to seal secrets with: set {SETTING}", field="secret"
            )
        return self._keys.encrypt(secret.encode())

    def open(self, sealed: bytes) -> str:
        if not sealed:
            return ""
        try:
            if self._keys is not None:
                return self._keys.decrypt(sealed).decode()
        except InvalidToken:
            pass
        raise FailedPrecondition(f"the secret was sealed with a key that {SETTING} does not have")
