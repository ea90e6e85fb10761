"""nginx in front of one installation, without TLS, on a port of loopback: with the configuration that is shipped."""

from __future__ import annotations

import subprocess
import sys

from bench.installation import Installation
from bench.servers import ROOT

_PLAIN = """
worker_processes 1;
worker_rlimit_nofile 16384;
pid {logs}/nginx.pid;
error_log {logs}/error.log error;
events {{ worker_connections 4096; }}
http {{
    access_log {logs}/mcpweb.access.log;
    client_max_body_size 1m;
    client_body_temp_path {logs}/body;
    proxy_temp_path {logs}/proxy;
    fastcgi_temp_path {logs}/fastcgi;
    uwsgi_temp_path {logs}/uwsgi;
    scgi_temp_path {logs}/scgi;
    upstream mcpweb {{ server 127.0.0.1:{web_port}; keepalive 64; keepalive_timeout 20s; }}
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location / {{
            proxy_pass http://mcpweb;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_next_upstream error timeout;
            proxy_next_upstream_tries 2;
            proxy_buffers 64 32k;
        }}
    }}
}}
"""


def configuration(made: Installation) -> str:
    """What nginx reads: `mcpweb nginx-config`, or the least that does where there is no such command."""
    logs, files = made.home / "nginx", made.home / "public"
    logs.mkdir(exist_ok=True)
    web = f"127.0.0.1:{made.web_port}"
    where = ("--whole", "--web", web, "--files", str(files), "--logs", str(logs), "--connections", "4096")
    shipped = _mcpweb(made, "nginx-config", *where)
    if shipped is None:
        return _PLAIN.format(logs=logs, web_port=made.web_port, port=made.port)
    _mcpweb(made, "nginx-files", str(files))
    return shipped


def _mcpweb(made: Installation, *arguments: str) -> str | None:
    command = [sys.executable, "-m", "mcpweb", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=made.environ, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None
