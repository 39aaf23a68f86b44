"""Which code ran: what `git` says of the working tree that the program came from.

Asks `git` itself: never the network, never a prompt, no lock is taken, and every answer has a
bound in time and size.
"""

from __future__ import annotations

import os
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

_SECONDS = 5.0
_ANSWER_BYTES = 64 * 1024
# Nothing is asked of people, no other host, no program that the repository names; no lock.
_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C",
}
# Where a hook's git works is not where the program came from.
_INHERITED = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
_GIT = ("git", "--no-pager", "-c", "core.fsmonitor=false", "-c", "diff.autoRefreshIndex=false")
_DIFF = ("diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=dirty")


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree.

    branch: empty when HEAD is detached. remote: URL of origin, or of the first remote; without
    credentials; empty when there is none. program: what runs, as a path below root.
    """

    root: Path
    commit: str
    branch: str
    remote: str
    program: str


def find_checkout(script: Path | None, directory: Path) -> Checkout | None:
    """The working tree that holds the program's `script`; else the one around `directory`."""
    if script is not None:
        found = _checkout_around(script.parent, script)
        if found is not None:
            return found
    return _checkout_around(directory, directory)


def read_diff(root: Path, most: int) -> tuple[list[str], bool] | None:
    """(lines, whether there are more) of what tracked files differ from HEAD, up to `most` bytes.

    None when git did not answer in time.
    """
    code, output = _ask(root, *_DIFF, most=most)
    if code not in (0, None):
        return None
    lines = output.decode("utf-8", "replace").split("\n")
    # What follows the last line end: nothing, or a line that was cut.
    lines.pop()
    return lines, code is None


def without_credentials(url: str) -> str:
    """A remote's URL without user names, passwords and tokens; `git@host:path` stays as it is."""
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    user, _, host = parts.netloc.rpartition("@")
    # An ssh user is part of the address; what stands there for http is a secret or its owner.
    if user and parts.scheme in ("ssh", "git+ssh"):
        host = f"{user.partition(':')[0]}@{host}"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _checkout_around(directory: Path, program: Path) -> Checkout | None:
    code, output = _ask(directory, "rev-parse", "--show-toplevel", "HEAD")
    lines = os.fsdecode(output).splitlines()
    if code != 0 or len(lines) != 2:
        return None
    root, commit = Path(lines[0]), lines[1]
    branch = os.fsdecode(_ask(root, "symbolic-ref", "--short", "--quiet", "HEAD")[1]).strip()
    try:
        below = program.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        below = ""  # reached by a link from elsewhere
    return Checkout(root, commit, branch, _remote(root), below)


def _remote(root: Path) -> str:
    # As configured: `git remote get-url` would put in what url.*.insteadOf says, tokens too.
    _, output = _ask(root, "config", "--get-regexp", r"^remote\..*\.url$")
    urls = dict(line.split(" ", 1) for line in os.fsdecode(output).splitlines() if " " in line)
    url = urls.get("remote.origin.url") or next(iter(urls.values()), "")
    return without_credentials(url.strip())


def _ask(directory: Path, *arguments: str, most: int = _ANSWER_BYTES) -> tuple[int | None, bytes]:
    """(exit code, output) of git; the code is None when the answer was cut off at `most` bytes."""
    environment = {name: value for name, value in os.environ.items() if name not in _INHERITED}
    try:
        with _starting:
            process = subprocess.Popen(
                [*_GIT, *arguments],
                cwd=directory,
                env=environment | _ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
    except OSError:
        return 1, b""
    timer = threading.Timer(_SECONDS, process.kill)
    timer.daemon = True
    timer.start()
    try:
        assert process.stdout is not None
        with process.stdout as stream:
            output = stream.read(most + 1)
        if len(output) > most:
            process.kill()
            process.wait()
            return None, output[:most]
        return process.wait(), output
    finally:
        timer.cancel()


# A child that the program forks in the middle of a start would hold the pipes' other ends open,
# and they would not end before the child does: its fork waits for the start.
_starting = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_starting.acquire, after_in_parent=_starting.release, after_in_child=_starting.release
    )
