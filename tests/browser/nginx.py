"""A real nginx that takes a prefix off, as a gateway or an add-on host does."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ..programs import require_program

_CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location {prefix} {{
      proxy_pass {upstream};
      proxy_set_header Host $http_host;
    }}
    location / {{ return 404; }}
  }}
}}
"""


@asynccontextmanager
async def serve_below_prefix(folder: Path, upstream: str, prefix: str) -> AsyncIterator[str]:
    """Serve an upstream below a prefix; yield the address of nginx.

    nginx inherits the listening socket (its variable NGINX), so that it answers from the first connection on.
    """
    program = require_program("nginx", "nginx-light")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        file = folder / "nginx.conf"
        file.write_text(_CONFIGURATION.format(folder=folder, port=port, prefix=prefix, upstream=upstream))
        process = await asyncio.create_subprocess_exec(
            program,
            *("-c", str(file), "-p", str(folder), "-e", "stderr"),
            env={**os.environ, "NGINX": f"{listening.fileno()};"},
            pass_fds=[listening.fileno()],
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()
