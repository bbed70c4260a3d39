"""`run_server`: serves an app with uvicorn, and says where once it is ready."""

from __future__ import annotations

import gc
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from ipaddress import ip_address
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from segue.errors import ConfigError, require
from segue.io import reason
from segue.service.app import create_app
from segue.service.http.api_key_cache import ApiKeyCache
from segue.service.http.connections import BoundedConnection
from segue.service.http.limits import Limits
from segue.service.http.log_limit import limit_logs
from segue.service.service import Service

NEW_OBJECTS = 20_000  # until Python looks for garbage again; its 700 took 5% of the time, in pauses of up to 60 ms
KEEP_ALIVE = 75  # seconds that an idle connection stays open: longer than balancers keep theirs, usually 60
USUAL_RATE = 1_000.0  # requests a second of a key, where other machines can reach the service
HANGUP = getattr(signal, "SIGHUP", signal.SIGTERM)  # a terminal closes; Windows has no such signal
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


def run_server(service: Service, listener: socket.socket, limits: Limits, *, say: Callable[[str], object]) -> None:
    """Answer until a signal ends the process. Requests that are under way are answered first.

    Args:
        service: what answers.
        listener: see `listen`; it is closed at the end.
        limits: see `limits_of`.
        say: is called with the address when the service is ready.
    """
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])
    app = create_app(service, limits)
    host, port = listener.getsockname()[:2]
    address = f"http://{host if ':' not in host else f'[{host}]'}:{port}"
    limit_logs()
    server = _Server(
        server_config(app, limits.connections),
        lambda: say(f"segue is ready: {address} (a page for people; routes: {address}/docs)"),
    )
    if signal.getsignal(HANGUP) is not signal.SIG_IGN:  # as nohup sets it
        signal.signal(HANGUP, server.handle_exit)
    try:
        server.run([listener])
    finally:
        listener.close()


def server_config(app: ASGIApp, connections: int) -> uvicorn.Config:
    """How uvicorn serves an app: HTTP alone, whatever packages for other protocols are installed.

    Args:
        app: what answers.
        connections: at the same time.
    """
    return uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="none",
        limit_concurrency=connections,
        server_header=False,
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=10,
    )


def limits_of(host: str, keys: ApiKeyCache, *, require_keys: bool, rate: float | None, connections: int) -> Limits:
    """The limits of a service that listens on an address.

    Without keys a service answers its own machine only.

    Args:
        host: the address.
        keys: those of the store.
        require_keys: whether keys are needed on an address of this machine, too.
        rate: requests a second of a client; 0 for no limit, None for the usual one.
        connections: at the same time.

    Raises:
        ConfigError: keys are needed, and the store has none.
    """
    is_local = _is_loopback(host)
    needs_keys = require_keys or not is_local
    if needs_keys and not keys.keys:
        why = "--require-keys" if is_local else f"--host {host}: other machines can reach the service there"
        raise ConfigError(
            f"{why}: the service needs API keys, and the store has none; make one with `segue serve --new-key read` "
            "and the same --store, or listen on 127.0.0.1"
        )
    if rate is None and not is_local:
        rate = USUAL_RATE
    hosts = None if needs_keys else frozenset({*LOCAL_NAMES, host.lower()})
    return Limits(keys=needs_keys, hosts=hosts, rate=rate or None, connections=connections)


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ip_address(str(one[4][0]).partition("%")[0]).is_loopback for one in found)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], object]) -> None:
        super().__init__(config)
        self.on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Answer what is under way, and end; a second Ctrl-C ends at once.

        A service that ends when it is asked to has not failed, so the signal is not raised again at the end.
        """
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """Take an address, before the models are loaded.

    Args:
        host: address to listen on.
        port: to listen on; 0 for a free one.

    Raises:
        ConfigError: there is no such address or port, or another program listens there.
    """
    require(0 <= port < 2**16, f"--port {port}: must be from 0 to 65535")
    require(bool(host.strip()), "--host: is empty; 127.0.0.1 is this machine alone, 0.0.0.0 is every network")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with ExitStack() as undo:
            listener = undo.enter_context(socket.socket(family))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen()  # else another process could take the same address
            undo.pop_all()
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigError(f"--host {host}: is not an address of this machine ({reason(error)})") from error
    except OSError as error:
        raise ConfigError(f"{host} port {port}: cannot be listened on ({reason(error)}); choose another") from error
    return listener
