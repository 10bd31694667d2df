"""OHIF's prebuilt viewer on loopback: single-page fallback, isolation headers, DICOMweb passed on to an archive."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.integration.outgoing import serving

_SOURCE = """{ namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'archive', configuration: {
  friendlyName: 'archive', name: 'archive', wadoUriRoot: '/dicom-web', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web',
  qidoSupportsIncludeField: false, supportsReject: false, imageRendering: 'wadors', thumbnailRendering: 'wadors',
  enableStudyLazyLoad: true, supportsFuzzyMatching: false, supportsWildcard: true, dicomUploadEnabled: false,
  omitQuotationForMultipartRequest: true, bulkDataURI: { enabled: true, relativeResolution: 'studies' } } }"""
CONFIGURATION = f"""window.config = {{ routerBasename: null, extensions: [], modes: [], customizationService: {{}},
  showStudyList: true, maxNumberOfWebWorkers: 2, showWarningMessageForCrossOrigin: false,
  showCPUFallbackMessage: false, showLoadingIndicator: true, investigationalUseDialog: {{ option: 'never' }},
  strictZSpacingForVolumeViewport: true, defaultDataSourceName: 'archive', dataSources: [{_SOURCE}] }};"""
FLAGS = (
    "--no-proxy-server",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--no-sandbox",
    "--disable-dev-shm-usage",
)


@contextmanager
def viewer(dist: Path, archive: str) -> Iterator[str]:
    """Its address. `archive`: base address of the DICOMweb server, without path."""

    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, directory=str(dist), **options)

        def log_message(self, *arguments: Any) -> None:
            pass

        def end_headers(self) -> None:
            for name, value in (("Opener", "same-origin"), ("Embedder", "require-corp"), ("Resource", "same-origin")):
                self.send_header(f"Cross-Origin-{name}-Policy", value)
            super().end_headers()

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path.startswith("/dicom-web"):
                self._pass_on()
            elif path == "/app-config.js":
                self._answer(200, "text/javascript", CONFIGURATION.encode())
            else:
                if not (dist / path.lstrip("/")).is_file():
                    self.path = "/index.html"
                super().do_GET()

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _pass_on(self) -> None:
            keep = {name: value for name, value in self.headers.items() if name.lower() == "accept"}
            request = urllib.request.Request(archive + self.path, headers=keep)
            try:
                with urllib.request.urlopen(request, timeout=60) as reply:
                    status, kind, body = reply.status, reply.headers["Content-Type"], reply.read()
            except urllib.error.HTTPError as error:
                status, kind, body = error.code, error.headers.get("Content-Type", "text/plain"), error.read()
            self._answer(status, kind, body)

    with serving(ThreadingHTTPServer, Handler) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}"
