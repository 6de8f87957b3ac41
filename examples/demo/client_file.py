"""The client credentials of the products in a file. A partner would use a secret manager."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from mimi_async import ClientCredentials


class ClientFile:
    """A file that only its owner can read.

    Args:
        path: The path of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, ClientCredentials]:
        """Return the credentials of each product; empty if there is no file."""
        if not self._path.exists():
            return {}
        kept = json.loads(self._path.read_text())
        return {product: ClientCredentials(*credentials) for product, credentials in kept.items()}

    def write(self, clients: Mapping[str, ClientCredentials]) -> None:
        """Replace the file atomically."""
        values = {product: (client.client_id, client.secret.reveal()) for product, client in clients.items()}
        part = self._path.with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(values, file)
        part.replace(self._path)
