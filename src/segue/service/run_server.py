"""`run_server`: serves an app with uvicorn, and says where once it is ready."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from segue.errors import ConfigError
from segue.io import reason
from segue.service.app import create_app
from segue.service.service import Service

KEEP_ALIVE = 75  # seconds that an idle connection stays open: longer than balancers keep theirs, usually 60


def run_server(service: Service, host: str, port: int, *, say: Callable[[str], object]) -> None:
    """Answer until the process is interrupted. Requests that are under way are answered first.

    Args:
        service: what answers.
        host: address to listen on.
        port: to listen on; 0 for a free one.
        say: is called with the address when the service is ready.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    listener = _listen(host, port)
    app = create_app(service)
    address = f"http://{host if ':' not in host else f'[{host}]'}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=10,
    )
    server = _Server(config, lambda: say(f"segue is ready: {address} (routes: {address}/docs)"))
    try:
        server.run([listener])
    finally:
        listener.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], object]) -> None:
        super().__init__(config)
        self.on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_ready()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"{host} port {port}: cannot be listened on ({reason(error)}); choose another --port"
        ) from error
    return listener
