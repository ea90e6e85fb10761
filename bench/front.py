"""nginx in front of one installation, as it is shipped for many hosts but without TLS, on a port of loopback."""

from __future__ import annotations

from bench.installation import Installation

_CONFIGURATION = """
user www-data;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/nginx-error.log warn;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    access_log {home}/nginx-access.log;
    client_max_body_size 1m;
    client_body_timeout 15s;
    client_header_timeout 15s;
    keepalive_requests 10000;
    underscores_in_headers off;
    client_body_temp_path {home}/nginx-body;
    proxy_temp_path {home}/nginx-proxy;
    fastcgi_temp_path {home}/nginx-fastcgi;
    uwsgi_temp_path {home}/nginx-uwsgi;
    scgi_temp_path {home}/nginx-scgi;
    upstream mcpweb {{ server 127.0.0.1:{web_port} max_fails=0; {keepalive} }}
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location / {{
            proxy_pass http://mcpweb;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_next_upstream off;
            proxy_buffers 16 16k;
            proxy_connect_timeout 5s;
            proxy_read_timeout 60s;
        }}
    }}
}}
"""


def configuration(made: Installation) -> str:
    """What nginx reads."""
    return _CONFIGURATION.format(home=made.home, web_port=made.web_port, port=made.port, keepalive=KEEPALIVE)


KEEPALIVE = ""
"""Whether nginx keeps connections to gunicorn: one that gunicorn closes when it ends may just be taking a POST."""
