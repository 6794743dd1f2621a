"""Named sets published on this machine."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.data.named import NAMED


class Home(http.server.BaseHTTPRequestHandler):
    """Serves `files`; a path in `cut` breaks off half way."""

    files: dict[str, bytes]
    cut: set[str]

    def do_GET(self) -> None:
        content = self.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.path in self.cut else content)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[type[Home], int]]:
    """A web server on this machine, its port, and an empty cache."""
    handler = type("Home", (Home,), {"files": {}, "cut": set()})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("PENSTOCK_DATA", raising=False)
    monkeypatch.setenv("PENSTOCK_CACHE", str(tmp_path / "缓存"))
    yield handler, server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def publish(server: tuple[type[Home], int], monkeypatch: pytest.MonkeyPatch) -> Callable[[str, dict[str, bytes]], None]:
    """A function that makes a named set one of the given files, by their names, published on this machine."""
    handler, port = server

    def put(name: str, content: dict[str, bytes]) -> None:
        handler.files |= {f"/{file}": raw for file, raw in content.items()}
        files = tuple(
            dataclasses.replace(
                file,
                url=f"http://127.0.0.1:{port}/{file.arrives_as}",
                sha256=hashlib.sha256(content[file.arrives_as]).hexdigest(),
                size=len(content[file.arrives_as]),
            )
            for file in NAMED[name].files
        )
        monkeypatch.setitem(NAMED, name, dataclasses.replace(NAMED[name], files=files))

    return put
