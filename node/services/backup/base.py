"""Backups of a PostgreSQL: a base backup with the write-ahead log it needs, made by the server's own programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import make_url

from node.errors import BadFile, BadInput, Unavailable
from node.services.backup.online import (
    Manifest,
    Tell,
    belongs,
    check_free,
    fingerprint,
    manifest_of,
    nobody,
    synchronise,
)
from node.store.engine import Store

SERVERS_MANIFEST = "backup_manifest"
"""What PostgreSQL itself writes about every file of the directory."""

# The write-ahead log comes along by a stream of its own; the listing has hashes that anybody can check.
_OPTIONS = ("-X", "stream", "-c", "fast", "--no-password", "--manifest-checksums=SHA256")
_CONFIGURATION = """\
listen_addresses = ''
unix_socket_directories = '{place}'
hba_file = '{place}/pg_hba.conf'
archive_mode = off
max_connections = 20
"""
_SAID = 300  # characters of what a program says that are worth showing


def take(store: Store, url: str, target: Path, programs: Path | None, now_ms: int) -> Manifest:
    """Make a base backup in the directory `target`, while others write. Returns what was copied.

    The directory appears under its name whole and on the disk, or not at all. Raises BadInput where the name is taken
    or the program is missing, Unavailable where the server refuses.
    """
    check_free(target)
    program = find("pg_basebackup", programs)
    with store.read() as conn:
        before = belongs(conn)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    address, environment = _address(url)
    try:
        run([program, "-D", partial, *_OPTIONS, "-d", address], environment)
        length, digest = fingerprint(partial / SERVERS_MANIFEST)
        with store.read() as conn:
            after = belongs(conn)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    synchronise(target.parent)
    return manifest_of(before, "postgresql", after.commits, now_ms, length, digest, target)


def check(directory: Path, manifest: Manifest, tell: Tell = nobody) -> None:
    """Raises BadFile unless every file of the base backup is the one that was made."""
    again = "Restore another backup, or bring this one over again."
    listing = directory / SERVERS_MANIFEST
    if not listing.is_file() or fingerprint(listing) != (manifest.bytes, manifest.sha256):
        what = f"is not the backup that was made: its {SERVERS_MANIFEST} is missing or differs"
        raise BadFile(directory, None, None, what, again)
    files = json.loads(listing.read_bytes())["Files"]
    for done, entry in enumerate(files, 1):
        name = entry.get("Path") or os.fsdecode(bytes.fromhex(entry["Encoded-Path"]))
        path = directory / name
        if not path.is_file() or fingerprint(path) != (entry["Size"], entry["Checksum"]):
            raise BadFile(directory, None, None, f"is damaged: {name} is missing or differs", again)
        tell(done, len(files))


@contextmanager
def serving(backup: Path, place: Path, url: str, programs: Path | None) -> Iterator[str]:
    """A server of one's own on a copy of the backup, in the new directory `place`; the URL of the region's database.

    It listens on a socket in `place` that only this user can reach, archives nothing, and is gone at the end. Raises
    BadInput for root, as whom PostgreSQL does not run, Unavailable where it cannot start.
    """
    if os.geteuid() == 0:
        raise BadInput("PostgreSQL does not run as root. Run the drill as the user who runs the node.")
    control = find("pg_ctl", programs)
    place.mkdir(mode=0o700)
    data = place / "data"
    shutil.copytree(backup, data, symlinks=True)
    data.chmod(0o700)
    (place / "postgresql.conf").write_text(_CONFIGURATION.format(place=place.absolute()), encoding="utf-8")
    (place / "pg_hba.conf").write_text("local all all trust\n", encoding="utf-8")
    environment = dict(os.environ)
    line = [
        control,
        "-D",
        data,
        "-s",
        "-w",
        "-l",
        place / "log",
        "-o",
        f"-c config_file={place.absolute()}/postgresql.conf",
    ]
    try:
        run([*line, "start"], environment)
        found = make_url(url).set(drivername="postgresql", host=None, port=None, password=None)
        yield found.update_query_dict({"host": str(place.absolute())}).render_as_string()
    finally:
        with suppress(Unavailable):
            run([control, "-D", data, "-s", "-m", "immediate", "stop"], environment)


def find(name: str, programs: Path | None) -> str:
    """Where a program of PostgreSQL lies. Raises BadInput."""
    found = shutil.which(name, path=str(programs) if programs is not None else None)
    if found is None:
        raise BadInput(f"{name} is not found: name the directory of PostgreSQL's programs with --bin")
    return found


def run(line: Sequence[object], environment: dict[str, str]) -> str:
    """Run a program; what it printed. Raises Unavailable with what it complained of."""
    words = [str(word) for word in line]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, errors="replace")
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[-_SAID:]
        raise Unavailable(f"{Path(words[0]).name} ended with {done.returncode}: {said or 'it said nothing'}")
    return done.stdout


def _address(url: str) -> tuple[str, dict[str, str]]:
    """The server as its programs take it; the password goes by the environment, where no list of processes shows it."""
    parsed = make_url(url).set(drivername="postgresql")
    environment = dict(os.environ)
    if parsed.password is not None:
        environment["PGPASSWORD"] = str(parsed.password)
    without = parsed._replace(password=None)
    return without.render_as_string(hide_password=False), environment
