"""The keyring of a command line: PYTHON_KEYRING_BACKEND names this class, KEYRING_FILE its file.

No other module imports it: the `keyring` library makes an instance of each back end that it finds.
"""

import os
from pathlib import Path

from tests.stores.keyrings import FileKeyring


class KeyringOfEnvironment(FileKeyring):
    """Made without arguments."""

    def __init__(self) -> None:
        super().__init__(Path(os.environ["KEYRING_FILE"]))
