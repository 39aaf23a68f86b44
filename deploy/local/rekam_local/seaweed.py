"""SeaweedFS: the S3 API for artifacts.

`weed mini` (all its servers in one process) answers after about 1.2 s and stops in 2 s;
`weed server -s3` took 3.6 s to answer, 8.7 s to the first write, and 15 s to stop.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from rekam_local import probe
from rekam_local.child import Command
from rekam_local.errors import StackError
from rekam_local.ports import LOOPBACK
from rekam_local.programs import beside_python

BUCKET = "rekam"


class Seaweed:
    """Its command, addresses and bucket."""

    def __init__(
        self, directory: Path, take_port: Callable[[], int], access_key: str, secret_key: str
    ) -> None:
        self._directory = directory
        self._master, self._volume, self._filer, self._s3, self._admin = (take_port() for _ in range(5))
        self.access_key = access_key
        self.secret_key = secret_key

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self._s3}"

    def command(self) -> Command:
        self._directory.mkdir(mode=0o700, exist_ok=True)
        return Command(
            name="seaweed",
            argv=(
                beside_python("weed"),
                "-logtostderr=true",
                "mini",
                # Relative to the working directory: a comma in an absolute path would
                # split it, and a socket's path may have only about 100 characters.
                "-dir=.",
                "-filer.localSocket=filer.sock",
                f"-ip={LOOPBACK}",
                f"-ip.bind={LOOPBACK}",
                f"-master.port={self._master}",
                "-master.telemetry=false",
                f"-volume.port={self._volume}",
                "-volume.preStopSeconds=0",
                f"-filer.port={self._filer}",
                f"-s3.port={self._s3}",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                f"-admin.port={self._admin}",
                "-admin.ui=false",
                "-webdav=false",
                f"-bucket={BUCKET}",
            ),
            cwd=self._directory,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self._directory),
                # Keys by environment: arguments are readable by every user of the machine.
                "AWS_ACCESS_KEY_ID": self.access_key,
                "AWS_SECRET_ACCESS_KEY": self.secret_key,
                # With half of it, it spends as much time on collecting garbage as on storing bytes.
                "GOMEMLIMIT": "512MiB",
            },
            ready=self._ready,
        )

    async def _ready(self) -> bool:
        bucket = await probe.call("GET", LOOPBACK, self._filer, f"/buckets/{BUCKET}/?limit=1")
        if bucket is None or bucket.status != 200:
            return False
        # Writable once a volume server has reported to the master.
        written = await probe.call("PUT", LOOPBACK, self._filer, "/ready", b"ready")
        if written is None or written.status >= 300:
            return False
        answer = await probe.call("GET", LOOPBACK, self._s3, "/")
        return answer is not None

    async def empty(self) -> None:
        """Delete every object of the bucket; the bucket stays."""
        while True:
            listing = await probe.call("GET", LOOPBACK, self._filer, f"/buckets/{BUCKET}/?limit=1000")
            if listing is None or listing.status != 200:
                raise StackError("the bucket cannot be listed")
            entries = json.loads(listing.body).get("Entries") or []
            if not entries:
                return
            for entry in entries:
                path = quote(entry["FullPath"])
                gone = await probe.call(
                    "DELETE",
                    LOOPBACK,
                    self._filer,
                    f"{path}?recursive=true&ignoreRecursiveError=true",
                    timeout_s=30,
                )
                if gone is None or gone.status >= 300:
                    raise StackError(f"{entry['FullPath']} cannot be deleted from the bucket")
