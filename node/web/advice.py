"""Every problem the API can report: status, title and what to do next, in Chinese and English."""

from __future__ import annotations

from node.web.advice_kind import Advice
from node.web.advice_on_dealings import DEALINGS

REFUSALS: dict[str, Advice] = {
    "unknown_kind": Advice(
        422, "对方不认识这类消息", "The other region does not know this kind of message",
        "请对方升级后再试。", "Try again once the other region has upgraded.",
    ),
    "malformed_body": Advice(
        422, "消息内容不合规则", "The message breaks its own rules",
        "请把转移编号交给双方的运维核查。", "Give the transfer's id to the operators of both regions.",
    ),
    "conflict_different_content": Advice(
        409, "同一个键，内容不同", "This key was used before with other content",
        "新的请求请换一个新的键；重复请求须与第一次完全相同。",
        "Use a new key for a new request; a repetition must equal the first one.",
    ),
    "conflict_different_amount": Advice(
        409, "同一个键，数额不同", "This key was used before with another amount",
        "新的请求请换一个新的键；重复请求须与第一次完全相同。",
        "Use a new key for a new request; a repetition must equal the first one.",
    ),
    "amount_out_of_range": Advice(
        422, "数额超出范围", "The amount is out of range",
        "请给出 1 到 2^63-1 之间的整数，且不少于兑换的一个整份。",
        "Give a whole number from 1 to 2^63-1 that makes at least one block of the exchange rate.",
    ),
    "region_unknown": Advice(
        422, "名册中没有该地区", "The roster has no such region",
        "请核对地区代码；GET /v1/roster 列出全部地区。", "Check the code; GET /v1/roster lists the regions.",
    ),
    "region_not_active": Advice(
        422, "该地区现已停用", "The region is not active",
        "请等名册中该地区恢复后，用新的键再提交。", "Wait until the roster lists it as active, then use a new key.",
    ),
    "category_not_mapped": Advice(
        422, "两地之间没有约定该类别", "No terms cover this category between the two regions",
        "请换一个类别，或先与对方约定。", "Choose another category, or agree on terms first.",
    ),
    "terms_differ": Advice(
        422, "两地约定的比例或版本不一致", "The two regions hold different terms",
        "请双方核对 terms.toml 的版本与比例。", "Compare version and rate in terms.toml with the other region.",
    ),
    "purpose_not_allowed": Advice(
        422, "约定不允许这种用途", "The terms do not allow this purpose",
        "请换一种用途，或先与对方约定。", "Choose another purpose, or agree on terms first.",
    ),
    "region_recovering": Advice(
        422, "该地区正从备份恢复，暂不付出积分", "The region is recovering from a backup and pays nothing out yet",
        "请等该地区恢复完毕后，用新的键再提交。", "Wait until it has recovered, then use a new key.",
    ),
    "region_moved": Advice(
        422, "该地区代码已由其他地区承接", "Another region answers for this code now",
        "请居民在承接的地区重新取得地址，再用新的键提交。",
        "Have the resident obtain an address at the region that took over, then use a new key.",
    ),
    "address_unknown": Advice(
        422, "收款地址无效", "The receiving address cannot be used",
        "请居民在转入地重新取得地址，并逐字核对。", "Have the resident obtain a new address there and copy it exactly.",
    ),
    "account_unknown": Advice(
        404, "没有该账户", "There is no such account",
        "请核对账户名，或先用 POST /v1/accounts 开户。", "Check the name, or open it with POST /v1/accounts.",
    ),
    "account_closed": Advice(
        409, "账户已注销", "The account is closed",
        "注销的账户不能再用；请另开一个账户。", "A closed account stays closed; open another one.",
    ),
    "account_frozen": Advice(
        409, "账户已冻结", "The account is frozen",
        "请先解冻：PATCH /v1/accounts/… {\"state\":\"open\"}，再用新的键提交。",
        "Open it again with PATCH /v1/accounts/… {\"state\":\"open\"}, then use a new key.",
    ),
    "category_unknown": Advice(
        422, "没有该类别", "There is no such category",
        "请用本地区配置的类别。", "Use one of the categories this region is configured with.",
    ),
    "account_not_empty": Advice(
        409, "账户还有积分", "The account still holds points",
        "请先用完、转出或等其到期，并等在途的转移有结果。",
        "Spend, transfer or let expire what is left, and let transfers under way end.",
    ),
    "insufficient_points": Advice(
        422, "可用积分不足", "Not enough points are available",
        "请减少数额；冻结中和待确认的积分不能使用。",
        "Ask for less; points on hold and points not yet final cannot be used.",
    ),
    "points_expired": Advice(
        422, "积分已过期", "The points have expired",
        "请减少数额；过期的积分不能使用。", "Ask for less; expired points cannot be used.",
    ),
    "evidence_too_low": Advice(
        422, "记录等级不足", "The points are not well enough evidenced",
        "只有本人签到取得的积分可以转移。", "Only points signed in by the participant can be transferred.",
    ),
    "already_spent": Advice(
        409, "积分已被使用", "The points were spent already",
        "不能冲正；请与对方地区协商。", "It cannot be reversed; settle it with the other region.",
    ),
    "too_many_lots": Advice(
        422, "积分来自太多批次", "The points come from too many lots",
        "请分几次转移。", "Transfer less at a time.",
    ),
    "transfer_unknown": Advice(
        404, "没有该转移", "There is no such transfer",
        "请核对编号；转入的转移须同时给出来源地区。", "Check the id; for an incoming transfer give its source as well.",
    ),
    "wrong_state": Advice(
        409, "转移的状态不允许", "The transfer's state does not allow this",
        "请先查询它的状态：GET /v1/transfers/…。", "Look at its state first: GET /v1/transfers/….",
    ),
    "cancelled": Advice(
        409, "转移已被撤销", "The transfer was cancelled",
        "积分已退回；需要时用新的键重新提交。", "The points are back; use a new key to send them again.",
    ),
    "review_refused": Advice(
        409, "审核未通过", "A clerk refused it",
        "积分已退回；请向转入地了解原因。", "The points are back; ask the destination why.",
    ),
    "too_late": Advice(
        409, "已超过约定期限", "The agreed window is over",
        "不能再冲正；请与对方地区协商。", "It cannot be reversed any more; settle it with the other region.",
    ),
}  # fmt: skip
"""By the name of the Reason, in small letters."""

FAULTS: dict[str, Advice] = {
    "malformed_json": Advice(
        400, "不是有效的 JSON", "This is not valid JSON",
        "请在指出的位置改正。", "Correct it at the place named.",
    ),
    "bad_field": Advice(
        422, "字段不合要求", "A field is not as it must be",
        "请按 /openapi.json 改正该字段。", "Correct the field as /openapi.json describes it.",
    ),
    "key_missing": Advice(
        422, "缺少幂等键", "The idempotency key is missing",
        "请给出 Idempotency-Key 头或 key 字段；同一件事永远用同一个键。",
        "Give an Idempotency-Key header or a field `key`: one key per thing to do, the same whenever it is repeated.",
    ),
    "identity_number": Advice(
        422, "含有身份证号码", "There is an identity number in it",
        "请删去号码，改用本地区系统自己的名称；身份比对只用 PUT /v1/accounts/…/identity。",
        "Leave the number out and use the regional system's own name; residents are identified at "
        "PUT /v1/accounts/…/identity only.",
    ),
    "consent_unknown": Advice(
        404, "没有该同意记录", "There is no such consent",
        "请核对编号：GET /v1/accounts/…/consents。", "Check the reference: GET /v1/accounts/…/consents.",
    ),
    "penalty_unknown": Advice(
        404, "没有该扣分记录", "There is no such penalty",
        "请核对编号：GET /v1/penalties。", "Check the id: GET /v1/penalties.",
    ),
    "token_missing": Advice(
        401, "缺少令牌", "A bearer token is needed",
        "请带上 Authorization: Bearer …；用 hutong token create 取得令牌。",
        "Send Authorization: Bearer …; `hutong token create` makes one.",
    ),
    "token_refused": Advice(
        401, "令牌无效或已吊销", "The token is unknown or was revoked",
        "请用 hutong token create 取得新的令牌。", "Make a new one with `hutong token create`.",
    ),
    "scope_missing": Advice(
        403, "令牌权限不足", "The token is not for this",
        "请使用带有所需权限的令牌。", "Use a token with the scope that is named.",
    ),
    "not_found": Advice(
        404, "没有这个地址", "Nothing is here",
        "请对照 /openapi.json 核对路径。", "Compare the path with /openapi.json.",
    ),
    "method_not_allowed": Advice(
        405, "不支持这种方法", "This method is not allowed here",
        "请对照 /openapi.json 核对方法。", "Compare the method with /openapi.json.",
    ),
    "too_large": Advice(
        413, "请求太大", "The request is too large",
        "请分成几次提交。", "Send it in several calls.",
    ),
    "too_many_lines": Advice(
        413, "行数太多", "Too many lines",
        "每次最多 1,000 行；请分成几次提交。没有一行被执行。",
        "Send at most 1,000 lines a call. None of these was done.",
    ),
    "unsupported_media_type": Advice(
        415, "内容类型不支持", "This content type is not supported",
        "请用 application/json；批量用 application/x-ndjson。",
        "Use application/json, or application/x-ndjson for many at once.",
    ),
    "ambiguous_id": Advice(
        409, "几个地区用了同一编号", "Several regions chose this id",
        "请加上 ?source=地区代码。", "Add ?source= with the code of the region it began in.",
    ),
    "refused_input": Advice(
        422, "请求不能执行", "The request cannot be carried out",
        "请按说明改正。", "Correct it as the detail says.",
    ),
    "too_busy": Advice(
        429, "请求太多", "Too much is under way",
        "请稍后用同一个键重试。", "Try again shortly, with the same key.",
    ),
    "database_busy": Advice(
        503, "数据库正忙", "The database is busy",
        "什么也没有执行；请稍后用同一个键重试。", "Nothing was done; try again shortly with the same key.",
    ),
    "database_full": Advice(
        503, "数据库所在磁盘已满", "The database's disk is full",
        "什么也没有执行；请运维清理磁盘后用同一个键重试。",
        "Nothing was done; free disk space, then try again with the same key.",
    ),
    "database_gone": Advice(
        503, "数据库不可用", "The database cannot be reached",
        "可能未执行；恢复后用同一个键重试，不会执行两次。",
        "It was probably not done; try again with the same key once it is back: nothing happens twice.",
    ),
    "unavailable": Advice(
        503, "暂时不可用", "This is not available now",
        "请稍后用同一个键重试。", "Try again shortly, with the same key.",
    ),
    "doubled": Advice(
        503, "另有一个实例正以本地区的名义运行，本实例已停止",
        "Another instance runs as this region; this one has stopped",
        "请停掉其中一个，再重启留下的那个；之后用同一个键重试。",
        "Stop one of the two and restart the one that stays; then try again with the same key.",
    ),
    "recovering": Advice(
        503, "本地区正从备份恢复，暂不扣减居民积分", "This region recovers from a restore: no resident is debited yet",
        "什么也没有执行；用 GET /v1/recovery 查看还缺什么，恢复后用同一个键重试。",
        "Nothing was done; GET /v1/recovery says what is missing. Try again with the same key once it is whole.",
    ),
    "witness_failed": Advice(
        503, "见证文件无法读写，暂不作答", "The witness cannot be written, so nobody is answered",
        "请运维检查见证文件所在磁盘；之后用同一个键重试，不会执行两次。",
        "Have its disk looked at; then try again with the same key: nothing happens twice.",
    ),
    "same_person": Advice(
        409, "须由另一人确认", "A second person has to agree",
        "请另一人用自己的令牌提出同样的请求。", "Have another person ask for the same with a token of his own.",
    ),
    "peer_silent": Advice(
        503, "对方没有回答", "The other region does not answer",
        "请稍后再试；消息会自动重发。", "Try again later; messages are sent again by themselves.",
    ),
    "bad_request": Advice(
        400, "请求不能理解", "The request cannot be understood",
        "请对照 /openapi.json 改正。", "Compare it with /openapi.json.",
    ),
    "internal": Advice(
        500, "节点内部出错", "The node has a fault",
        "请用同一个键重试；仍然出错时，把事故编号交给运维在日志中查找。",
        "Try again with the same key; if it fails again give the incident's id to the operators: the log has it.",
    ),
}  # fmt: skip
"""Problems of the API itself."""

ADVICE = REFUSALS | DEALINGS | FAULTS
