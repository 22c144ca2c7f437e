"""The files a new region begins with, each line explained in both languages."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_NUMBER = re.compile(r"[1-9][0-9]*")

CONFIG = """\
# 互通节点配置，修改后重启 hutong serve 生效。 Configuration of a region's node; restart `hutong serve` after changes.

# 六位行政区划代码（GB/T 2260）；建立后不可更改。 The region's code; never changed once made.
region = {region}
name_zh = {name_zh}
name_en = {name_en}

# 只接受同一环境的名册，试验与生产不会相混。 Only rosters of this environment are taken.
environment = {environment}

# 本地区的积分类别；建立数据库时写入，之后不可更改。 Categories of points; written into the database when it was made.
categories = {categories}

# sqlite:///文件（相对于本目录）或 postgresql://用户@主机/库名。 A file below this directory, or a PostgreSQL.
database = {database}

# 见证文件：数据库被恢复到旧备份时，凭它发现。请放在另一块磁盘上，切勿与数据库一同备份或恢复；移动时先停止节点。
# The witness tells when the database was restored from an older backup. Best on another disk; never back it up or
# restore it together with the database. Stop the node before you move it.
witness = {witness}

# 供其他地区连接的监听地址（gRPC，双向 TLS）。 Where other regions' nodes connect (gRPC, mutual TLS).
grpc_listen = {grpc_listen}

# 供本地区系统使用的 HTTP 接口；无 TLS，请勿暴露。 HTTP API for the region's own systems; no TLS: keep it inside.
http_listen = {http_listen}

# 其他地区拨入的 主机:端口；为空则本节点只向外拨。 What others dial; empty when this node only dials out.
# 修改后运行 hutong card 并把新名片交给保管人。 After a change run `hutong card` and send the new card to the keepers.
endpoint = {endpoint}

# 互认条款文件，用于尚未签署协议的地区。 The file of terms, for regions with which there is no agreement.
terms = "terms.toml"

# 多个进程共用一个 PostgreSQL 时，每个进程各有自己的目录和名称。
# Where several processes share one PostgreSQL, each has a directory and a name of its own.
# process = "east"
"""

TERMS = """\
# 互认条款，仅用于尚未签署协议（hutong agreement）的地区；两边写入相同内容。
# Terms with regions with which there is no agreement (hutong agreement) yet: both write the same.
# 任何一条改动都要同时把 version 加一。 Whoever changes anything adds one to version, on both sides.
version = 1

# 每种类别、每个方向一段。 One table per category and direction.
# [[terms]]
# from = "330100"
# to = "330200"
# category = "moral"          # 转出类别 what leaves
# becomes = "moral"           # 转入类别 what arrives
# rate = "10/1"               # 转入 / 转出，最小单位，最简分数 arriving / leaving, smallest units, lowest terms
# min_evidence = "signed_in"  # 最低证据等级 weakest evidence taken: backfilled, signed_in
# review_from = 0             # 转入数量达到此数须人工审核，0 为不审核 arriving amounts a clerk decides on; 0 = none
# purposes = ["relocation", "guest_award", "activity", "donation"]
# grace_days = 30             # 转入积分至少有效天数 days an arriving lot lives at least
# reversal_days = 30          # 可冲正的天数 days within which a transfer can be sent back
"""


def config_text(template: str, **values: str | Sequence[str]) -> str:
    """The template with each value as TOML writes it (a JSON string or list of them is the same text)."""
    return template.format(
        **{
            key: value if key == "region" and _NUMBER.fullmatch(str(value)) else json.dumps(value, ensure_ascii=False)
            for key, value in values.items()
        }
    )
