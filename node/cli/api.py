"""The running node's HTTP API, called with the operator's token from the region's directory."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from gateway.protocol.values import Reason
from node.cli.faults import Exit, Failed
from node.cli.words import say
from node.config import Config, check_private, host_port, load
from node.lock import serving_at

LINES_PER_CALL = 1000
WAIT_S = 60.0
"""Longest that a call may ask the node to wait before it answers."""
_ANSWER_S = 30.0  # beyond what was asked to wait
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}
# What to do at a terminal, where the API's advice speaks of HTTP.
DO: Mapping[str, Callable[[], str]] = {
    "account_unknown": lambda: say("核对账户名，或用 hutong account open 开户。",
                                   "Check the name, or open it with `hutong account open`."),
    "account_frozen": lambda: say("先用 hutong account unfreeze 解冻。",
                                  "Open it with `hutong account unfreeze` first."),
    "region_unknown": lambda: say("用 hutong federation show --dir 查看成员。",
                                  "See the members with `hutong federation show --dir DIR`."),
    "wrong_state": lambda: say("用 hutong transfer show 查看状态。", "See its state with `hutong transfer show`."),
    "recovering": lambda: say("用 hutong recovery show 查看还缺什么。",
                              "See what is missing with `hutong recovery show`."),
    "same_person": lambda: say("请另一人用自己的令牌（HUTONG_TOKEN）提出同样的请求。",
                               "Have another person ask for the same with a token of his own (HUTONG_TOKEN)."),
    "ambiguous_id": lambda: say("用 --source 给出来源地区。", "Say with --source in which region it began."),
    "bad_field": lambda: say("改正该项，--help 列出写法。", "Correct it; --help lists what is allowed."),
    "not_found": lambda: say("核对名称或编号。", "Check the name or the id."),
}  # fmt: skip
_REFUSALS = {*(reason.name.lower() for reason in Reason), "same_person"}


class Api:
    """One connection to the node of a region. Not for several threads."""

    def __init__(self, directory: Path) -> None:
        """Raises BadFile where the directory is no region's, Failed where it has no usable token."""
        self.config = load(directory)
        self._token = _token(self.config)
        listen = self.config.http_listen
        if host_port(listen)[1] == 0:
            listen = serving_at(directory) or listen
        host, port = host_port(listen)
        self._host, self._port = _ANY.get(host, host), port
        self._connection: http.client.HTTPConnection | None = None

    def get(self, *path: object, wait_s: float = 0.0, **query: object) -> dict[str, Any]:
        """What is at the path. A query of None is left out."""
        asked = {key: str(value) for key, value in query.items() if value is not None}
        if wait_s:
            asked["wait"] = f"{min(wait_s, WAIT_S):.3f}"
        return self._json("GET", _path(path) + (f"?{urlencode(asked)}" if asked else ""), None, wait_s)

    def post(self, *path: object, **body: object) -> dict[str, Any]:
        """Give a command. A field of None is left out."""
        return self._json("POST", _path(path), _body(body))

    def patch(self, *path: object, **body: object) -> dict[str, Any]:
        """Change something."""
        return self._json("PATCH", _path(path), _body(body))

    def put(self, *path: object, **body: object) -> dict[str, Any]:
        """Set something."""
        return self._json("PUT", _path(path), _body(body))

    def delete(self, *path: object) -> dict[str, Any]:
        """Forget something."""
        return self._json("DELETE", _path(path), None)

    def bulk(
        self, path: str, lines: Sequence[Mapping[str, Any]], done: Callable[[int], None]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Give many commands; yields (place from 0, answer) for each and tells `done` how many more are done.

        Raises Failed when the node goes away in the middle: the same call may be repeated, nothing is done twice.
        """
        for first in range(0, len(lines), LINES_PER_CALL):
            some = lines[first : first + LINES_PER_CALL]
            data = "\n".join(json.dumps(line, ensure_ascii=False) for line in some).encode()
            answers = self._call("POST", f"/v1/{path}", data, "application/x-ndjson").splitlines()
            for place, answer in enumerate(answers, first):
                yield place, json.loads(answer)
            done(len(some))

    def _json(self, method: str, path: str, data: bytes | None, wait_s: float = 0.0) -> dict[str, Any]:
        found = json.loads(self._call(method, path, data, "application/json", wait_s))
        assert isinstance(found, dict)
        return found

    def _call(self, method: str, path: str, data: bytes | None, kind: str, wait_s: float = 0.0) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if data is not None:
            headers["Content-Type"] = kind
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._host, self._port)
        self._connection.timeout = wait_s + _ANSWER_S
        try:
            self._connection.request(method, path, data, headers)
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._away(error) from error
        if response.status >= 400:
            raise problem(response.status, answer)
        return answer

    def _away(self, error: Exception) -> Failed:
        where = f"http://{self._host}:{self._port}"
        if isinstance(error, ConnectionRefusedError):
            return Failed(
                say(f"节点没有运行（{where}）", f"the node is not running ({where})"),
                say(f"先运行 hutong serve --dir {self.config.directory}",
                    f"Start it: hutong serve --dir {self.config.directory}"),
                Exit.UNAVAILABLE,
            )  # fmt: skip
        return Failed(
            say(f"与节点的连接中断（{where}）：{error}", f"the connection to the node broke ({where}): {error}"),
            say("用同一个键重试，不会重复执行。", "Try again with the same key; nothing is done twice."),
            Exit.UNAVAILABLE,
        )


def problem(status: int, answer: bytes) -> Failed:
    """An error of the API as an error of the command."""
    try:
        told: Mapping[str, str] = json.loads(answer)
        reason, detail = told["reason"], told.get("detail", "")
        what = say(told["title"], told["title_en"])
        do = DO[reason]() if reason in DO else say(told["do"], told["do_en"])
    except (ValueError, KeyError, TypeError):
        do = say("查看是否有别的程序占用该地址。", "See whether another program answers at this address.")
        return Failed(say(f"节点回答 HTTP {status}", f"the node answered HTTP {status}"), do, Exit.UNAVAILABLE)
    if detail not in ("", told["title_en"], what):
        what = f"{what}{say('：', ': ')}{detail}"
    return Failed(what, do, _exit(status, reason), reason)


def refusal(answer: Mapping[str, Any]) -> Failed | None:
    """What refused one line of many; None where it was done."""
    return None if answer.get("ok") else problem(int(answer.get("status", 500)), json.dumps(dict(answer)).encode())


def new_key() -> str:
    """A key nobody used: a UUIDv7 (RFC 9562, 5.7), so that keys made together lie together."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _exit(status: int, reason: str) -> Exit:
    if status == 429 or status >= 500:
        return Exit.UNAVAILABLE
    return Exit.REFUSED if reason in _REFUSALS else Exit.BAD_INPUT


def _path(parts: Sequence[object]) -> str:
    return "/v1/" + "/".join(quote(str(part), safe="") for part in parts)


def _body(fields: Mapping[str, object]) -> bytes:
    return json.dumps({key: value for key, value in fields.items() if value is not None}, ensure_ascii=False).encode()


def _token(config: Config) -> str:
    given = os.environ.get("HUTONG_TOKEN", "").strip()
    if given:
        return given
    path = config.operator_token
    if not path.exists():
        raise Failed(
            say(f"没有 {path}", f"{path} is missing"),
            say("用 hutong token create 新建令牌，写入该文件或环境变量 HUTONG_TOKEN。",
                "Make a token with `hutong token create` and write it there, or into HUTONG_TOKEN."),
        )  # fmt: skip
    check_private(path)
    return path.read_text(encoding="ascii").strip()
