"""The three that are compared, started to do the same job: take `/openai` off the path and put in the provider's key.

Each is a context manager that gives the running thing and ends it.
"""

import contextlib
import http.client
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench import MeasurementError
from bench.conversation import ANSWER, PATH, PROVIDER_KEY, QUESTION, client_headers
from bench.ledger import Sent
from bench.machine import ENVOY, ROOT, program
from bench.processes import MEASURED_CORE, OTHER_CORE, Program, awaited_of, started
from bench.streams import Load

BOTH_LIMITS = ("--aibridge-max-concurrency", "10000", "--aibridge-rate-limit", "1000000")
"""On, and never reached: what they cost is measured, not what they refuse."""
FIVE_RULES = (*BOTH_LIMITS, "--config", str(ROOT / "bench" / "five_rules.yaml"))
"""The same, with three rules of a file: of a rate with a burst, of tokens, and of calls at one time."""

_HOST = "127.0.0.1"
_STRANGERS_KEY = "sk-bench-client-0123456789abcdef0123456789abcdef"
_WELCOME = re.compile(r"listens on http://(\S+)\n.*?\n +(aib_\w+)\n", re.DOTALL)

_NGINX = """
daemon off;
master_process off;  # one worker, and nobody who would outlive it
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {directory}/client;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 1000000000;
  upstream provider {{ server {upstream}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen {address};
    location /openai/ {{
      proxy_pass http://provider/;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer {key}";
    }}
  }}
}}
"""

_ENVOY = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: {host}, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: /openai/}}
                route: {{cluster: provider, prefix_rewrite: /, timeout: 0s}}
              request_headers_to_add:
              - header: {{key: authorization, value: "Bearer {key}"}}
                append_action: OVERWRITE_IF_EXISTS_OR_ADD
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: provider
    type: STATIC
    load_assignment:
      cluster_name: provider
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: {host}, port_value: {upstream_port}}}}}}}
"""


class Proxy(msgspec.Struct, frozen=True, kw_only=True):
    """Something that runs and relays. `address` is host and port; its files are in `directory`."""

    name: str
    pid: int
    address: str
    credential: str
    directory: Path
    sent: Sent


@contextlib.contextmanager
def upstream(directory: Path, load: Load) -> Iterator[str]:
    """The provider, on the core of the clients; gives its address."""
    address = _free_address()
    command = [sys.executable, "-m", "bench.upstream", address.partition(":")[2], str(load.events), str(load.interval)]
    with started(command, directory / "upstream.log", core=OTHER_CORE, cwd=ROOT) as running:
        _await_listener(address, running)
        yield address


@contextlib.contextmanager
def nginx(directory: Path, provider: str) -> Iterator[Proxy]:
    """A reverse proxy of one worker that keeps connections and does not buffer answers."""
    address = _free_address()
    configuration = directory / "nginx.conf"
    configuration.write_text(_NGINX.format(directory=directory, address=address, upstream=provider, key=PROVIDER_KEY))
    command = [program("nginx") or "nginx", "-p", str(directory), "-c", str(configuration), "-e", "stderr"]
    with started(command, directory / "nginx.log", core=MEASURED_CORE) as running:
        yield _ready("nginx", running, address, directory)


@contextlib.contextmanager
def envoy(directory: Path, provider: str) -> Iterator[Proxy]:
    """A plain HTTP router of one worker thread; all its threads share the core."""
    address = _free_address()
    host, _, port = address.partition(":")
    configuration = directory / "envoy.yaml"
    upstream_port = provider.partition(":")[2]
    configuration.write_text(
        _ENVOY.format(host=host, port=port, upstream_port=upstream_port, key=PROVIDER_KEY), encoding="ascii"
    )
    command = [str(ENVOY), "--config-path", str(configuration), "--concurrency", "1"]
    command += ["--disable-hot-restart", "--log-level", "error"]
    with started(command, directory / "envoy.log", core=MEASURED_CORE) as running:
        yield _ready("envoy", running, address, directory)


@contextlib.contextmanager
def gateway(aibridge: str, directory: Path, provider: str, *flags: str) -> Iterator[Proxy]:
    """The gateway on an empty data directory: a known caller's token, the journal and usage are always on.

    It is ready when it has printed the token, and may then be called; it was not called yet.
    """
    command = [aibridge, "server", "--http-address", f"{_HOST}:0", "--data-dir", str(directory / "data"), *flags]
    command += ["--aibridge-openai-base-url", f"http://{provider}/v1", "--aibridge-openai-key", PROVIDER_KEY]
    with started(command, directory / "gateway.log", core=MEASURED_CORE) as running:
        welcome = awaited_of(running, lambda: _WELCOME.search(running.said()), "the gateway's welcome", every=0.001)
        address, credential = welcome.groups()
        yield Proxy(
            name="gateway", pid=running.pid, address=address, credential=credential, directory=directory, sent=Sent()
        )


def call(proxy: Proxy) -> http.client.HTTPResponse:
    """Call once, over a connection of its own; the answer is read.

    Raises:
        MeasurementError: an answer with success is not the upstream's, byte for byte.
    """
    connection = http.client.HTTPConnection(proxy.address, timeout=10)
    try:
        connection.request("POST", PATH, QUESTION, client_headers(proxy.credential))
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status == 200:
        if body != ANSWER:
            raise MeasurementError(f"{proxy.name} changed the answer: {body[:200]!r}")
        proxy.sent.answered += 1
    return response


def _ready(name: str, running: Program, address: str, directory: Path) -> Proxy:
    _await_listener(address, running)
    return Proxy(
        name=name, pid=running.pid, address=address, credential=_STRANGERS_KEY, directory=directory, sent=Sent()
    )


def _await_listener(address: str, running: Program) -> None:
    host, _, port = address.partition(":")

    def listening() -> bool | None:
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            return None
        return True

    awaited_of(running, listening, f"a listener on {address}")


def _free_address() -> str:
    """An address nobody listens on. Another program may take it before we do; then the start fails and says so."""
    with socket.create_server((_HOST, 0)) as probe:
        return f"{_HOST}:{probe.getsockname()[1]}"
