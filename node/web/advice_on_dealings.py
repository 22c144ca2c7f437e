"""Refusals about agreements, consents, attestations, roaming, clawback and disputes, and what to do next."""

from __future__ import annotations

from node.web.advice_kind import Advice

DEALINGS: dict[str, Advice] = {
    "agreement_not_in_force": Advice(
        422, "两地之间没有生效的协议", "No agreement between the two regions is in force",
        "请查看协议的有效日期，或与对方签订协议后用新的键提交。",
        "Look at the agreement's dates, or sign one with the other region; then use a new key.",
    ),
    "agreement_suspended": Advice(
        422, "协议已暂停", "The agreement is suspended",
        "请等协议恢复后，用新的键提交。", "Wait until it is resumed, then use a new key.",
    ),
    "direction_not_allowed": Advice(
        422, "协议不允许这个方向", "The agreement moves nothing in this direction",
        "请与对方商定修订协议。", "Agree an amendment with the other region.",
    ),
    "feature_off": Advice(
        422, "协议未开通此项功能", "The agreement does not switch this on",
        "请与对方商定修订协议，开通此项功能。", "Agree an amendment that switches it on.",
    ),
    "person_to_person_not_allowed": Advice(
        422, "不可跨地区转给他人", "Points do not go to another person across regions",
        "请转到居民本人在对方的账户。", "Move them to the resident's own account there.",
    ),
    "below_smallest_amount": Advice(
        422, "少于最低转移数额", "Less than the smallest amount that may leave",
        "请攒够最低数额后，用新的键提交。", "Wait until there is enough, then use a new key.",
    ),
    "transfer_cap_exceeded": Advice(
        422, "超过单笔上限", "More than one transfer may carry",
        "请分成几笔，每笔用新的键提交。", "Send it in parts, each under a new key.",
    ),
    "resident_cap_reached": Advice(
        422, "超过该居民在本期的上限", "More than one resident may send in this period",
        "请减少数额，或在下一期用新的键提交。", "Send less, or in the next period, under a new key.",
    ),
    "pair_cap_reached": Advice(
        422, "超过两地在本期的总上限", "More than the two regions may exchange in this period",
        "请在下一期用新的键提交。", "Send it in the next period, under a new key.",
    ),
    "net_debit_cap_reached": Advice(
        422, "超过净额上限", "More than one region may owe the other",
        "请等两地清算后，用新的键提交。", "Wait until the two regions have settled, then use a new key.",
    ),
    "cooling_off": Advice(
        422, "仍在冷静期内", "Points that arrived rest before they move on",
        "请等冷静期过后，用新的键提交。", "Wait until they have rested, then use a new key.",
    ),
    "too_frequent": Advice(
        422, "距上次转移接续太近", "Sooner after the last relocation than agreed",
        "请等约定的间隔过后，用新的键提交。", "Wait for the agreed interval, then use a new key.",
    ),
    "code_not_valid": Advice(
        422, "兑换码无效", "The code is not valid",
        "请居民在本地重新取得一个码：每个码只能用一次，几分钟内有效。",
        "Have the resident obtain a new one at home: a code works once, for a few minutes.",
    ),
    "above_authorised": Advice(
        422, "超过已授权的数额", "More than what is left of the authorisation",
        "请按授权的数额入账，超出部分另行取得授权。", "Capture what was authorised, and authorise the rest anew.",
    ),
    "authorisation_ended": Advice(
        409, "授权已结束", "The authorisation has ended",
        "请重新取得授权。", "Obtain a new authorisation.",
    ),
    "consent_missing": Advice(
        422, "缺少居民的单独同意", "The resident's consent is missing",
        "请先登记居民的同意，再带上其编号，用新的键提交。",
        "Record the resident's consent, name it, and use a new key.",
    ),
    "consent_not_valid": Advice(
        422, "居民的同意无效", "The resident's consent does not hold",
        "同意已过期、已撤回，或不是给这个接收方和用途的：请重新征得同意，用新的键提交。",
        "It has expired, was withdrawn, or is for another recipient or purpose: obtain a new one, then use a new key.",
    ),
    "delayed": Advice(
        409, "暂时不能办理", "Not now",
        "请稍后用同一个键再试。", "Try again later, with the same key.",
    ),
    "disputed": Advice(
        409, "存在异议，暂时冻结", "Disputed, and frozen until that is decided",
        "请等异议有结果后再办理。", "Wait until the dispute is decided.",
    ),
    "document_invalid": Advice(
        422, "文书不合规则", "The document breaks a rule",
        "请按所指的规则修改文书，再重新提出。", "Mend what is named, and send it again.",
    ),
    "predecessor_unknown": Advice(
        409, "所依据的上一版不是现行版本", "The version it follows is not the one in force",
        "请以现行版本为基础重新拟定。", "Draft it again from the version in force.",
    ),
    "agreement_overlaps": Advice(
        409, "与已有协议的日期重叠", "Another agreement of the two regions covers these dates",
        "请修订原协议，或改用不重叠的日期。", "Amend that one, or choose dates that do not overlap.",
    ),
    "profitable_cycle": Advice(
        422, "按此比例往返转移会凭空多出积分", "Rates along a cycle of agreements would multiply points",
        "请按所示的循环调低其中一个比例。", "Lower one of the rates along the cycle that is shown.",
    ),
    "declined": Advice(
        422, "对方不同意", "A person at the other region said no",
        "请与对方联系。", "Talk to the other region.",
    ),
    "not_attested": Advice(
        422, "没有可以证明或承认的内容", "Nothing to attest, or nothing of this kind is honoured",
        "请核对协议承认的种类，以及居民在本地的记录。",
        "Compare what the agreement honours with what the home region has on record.",
    ),
}  # fmt: skip
