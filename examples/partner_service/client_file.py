"""The client credentials of the products, kept in a file: a partner has a vault for such things."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from mimi_async import ClientCredentials


class ClientFile:
    """A file that its owner alone can read.

    Args:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, ClientCredentials]:
        """Return the credentials of each product; none where nothing is kept yet."""
        if not self._path.exists():
            return {}
        kept = json.loads(self._path.read_text())
        return {product: ClientCredentials(*credentials) for product, credentials in kept.items()}

    def write(self, clients: Mapping[str, ClientCredentials]) -> None:
        """Keep the credentials, whole or not at all."""
        told = {product: (client.client_id, client.secret.reveal()) for product, client in clients.items()}
        part = self._path.with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(told, file)
        part.replace(self._path)
