"""Chinese or English, by locale: every text for people is written in both where it is used."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

_chosen = ["en"]


def say(zh: str, en: str) -> str:
    """The text in the language of whoever reads."""
    return zh if _chosen[0] == "zh" else en


def speak(language: str) -> None:
    """Use `zh` or `en` from now on."""
    _chosen[0] = language


def language() -> str:
    """`zh` or `en`."""
    return _chosen[0]


def of_locale(environment: Mapping[str, str]) -> str:
    """What the locale asks for: the first of LC_ALL, LC_MESSAGES and LANG that is set decides, as in POSIX."""
    first = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    return "zh" if first.lower().startswith("zh") else "en"


def choose(arguments: Sequence[str]) -> list[str]:
    """Choose the language by `--lang` anywhere among the arguments, else by locale; the arguments without it."""
    speak(of_locale(os.environ))
    left: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*left, argument, *rest]
        if argument == "--lang":
            asked = next(rest, "")
        elif argument.startswith("--lang="):
            asked = argument.removeprefix("--lang=")
        else:
            left.append(argument)
            continue
        if asked not in ("zh", "en"):
            left += ["--lang", asked]  # for the parser to refuse
        else:
            speak(asked)
    return left
