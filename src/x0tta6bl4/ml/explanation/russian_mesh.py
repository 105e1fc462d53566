# ruff: noqa: RUF001  # letters of Russian that look like letters of English are meant to be here
"""The mesh catalogue's words in Russian, and the controller's own messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

TITLES: Final[Mapping[str, str]] = {
    "cause/interface-down/interface": "интерфейс потерял несущую или выключен",
    "cause/interface-mtu-low/interface": "MTU интерфейса меньше заявленного",
    "cause/node-down/node": "узел не работает или перезагружается",
    "cause/agent-down/node": "агент не работает, но узел пересылает трафик",
    "cause/link-down/adjacency": "линк не работает в обе стороны",
    "cause/link-down/link": "линк не работает в одну сторону",
    "cause/link-lossy/adjacency": "линк теряет пакеты в обе стороны",
    "cause/link-lossy/link": "линк теряет пакеты в одну сторону",
    "cause/link-slow/adjacency": "линк намного медленнее обычного",
    "cause/link-clipped/link": "линк пропускает только мелкие кадры",
    "cause/node-unreachable/node": "узел работает, но его отчёты не доходят",
    "cause/mesh-converging/node": "сеть ищет новые пути",
    "cause/node-missing/node": "ожидаемый узел так и не появился",
    "cause/partition/partition": "часть сети отрезана",
    "symptom/interface-down": "нет несущей или интерфейс выключен",
    "symptom/mtu-short": "MTU меньше заявленного",
    "symptom/link-silent": "по линку ничего не приходит",
    "symptom/hello-silent": "агент на том конце молчит",
    "symptom/link-lossy": "теряется слишком много hello-пакетов",
    "symptom/link-slow": "время отклика намного выше обычного",
    "symptom/link-clipped": "мелкие кадры проходят, полноразмерные — нет",
    "symptom/node-silent": "отчёты агента этого узла не приходят",
    "symptom/mesh-hurries": "сеть вокруг вынуждена искать новые пути",
    "symptom/node-missing": "ожидаемый узел ни разу не появлялся",
    "action/detach-interface": "вывести интерфейс из mesh",
    "action/stand-in-primary": "поставить dummy на место неработающего первичного интерфейса",
    "action/set-hop-penalty": "заставить BATMAN_IV обходить то, что слышно через интерфейс",
    "action/set-throughput-override": "заставить BATMAN_V обходить интерфейс",
    "action/block-neighbour": "не принимать пакеты mesh от одного соседа на одном интерфейсе",
    "action/restore-mtu": "вернуть заявленный MTU",
    "action/bounce-interface": "выключить и снова включить интерфейс",
    "action/set-gw-mode": "сменить режим шлюза",
    "action/set-orig-interval": "изменить интервал OGM",
    "action/restart-service": "перезапустить системную службу",
    "metric/up": "1 — поднят и есть несущая",
    "metric/mtu_short_bytes": "на сколько байт MTU меньше заявленного",
    "metric/silence_ms": "сколько времени по линку ничего не приходило",
    "metric/hello_silence_ms": "сколько времени не слышно агента на том конце",
    "metric/loss_ratio": "доля потерянных за 2 с hello-пакетов",
    "metric/rtt_ms": "медиана времени отклика за полсекунды",
    "metric/large_silence_ms": "сколько времени не приходил полноразмерный кадр",
    "metric/report_age_ms": "возраст последнего отчёта агента",
    "metric/hurry": "1 — сеть вокруг вынуждена искать новые пути",
    "metric/absent_s": "сколько времени ожидаемый узел ни разу не появлялся",
}
"""See `words.Titles`; metrics are those that symptoms look at."""

GUARDS: Final[Mapping[str, str]] = {
    "has_target": "нет одной ясной цели",
    "kill_switch": "включён kill switch",
    "autonomy": "контроллеру это не разрешено",
    "reversible": "это нельзя отменить",
    "fresh": "показания устарели",
    "keeps_connected": "сеть распалась бы на части",
    "blast_radius": "задело бы слишком большую часть сети",
    "not_rejected": "человек недавно отказал",
    "none_left_behind": "прежнее такое изменение ещё не отменено",
    "cool_down": "здесь это недавно уже пробовали",
    "storm_brake": "слишком много действий сразу",
}

_MESSAGES: Final[Mapping[str, str]] = {
    "its symptoms are gone": "её симптомы исчезли",
    "no longer needed": "больше не нужно",
    "nobody approved it": "никто не согласился",
    "not proven well in time": "за отведённое время исправность не доказана",
    "did not help and cannot be undone": "не помогло, а отменить нельзя",
    "no actuator for this kind": "выполнять это некому",
    "symptoms stayed away and the data plane is well": "симптомы не вернулись, и данные проходят",
}
_PROBES: Final = re.compile(r"(\d+) of (\d+) probes to (\S+) answered")
_CUT: Final = re.compile(r"(cut at|it cuts off) (.+)")
_MERGED: Final = re.compile(r"merged into (\S+)")
_PERSON: Final = re.compile(r"(closed|rejected) by a person: (.*)")


def message(text: str) -> str:
    """One of the controller's own messages in Russian; what is not known is left as it is.

    >>> message("29 of 30 probes to n4 answered")
    'ответов на пробы к n4: 29 из 30'
    """
    if probes := _PROBES.fullmatch(text):
        return f"ответов на пробы к {probes[3]}: {probes[1]} из {probes[2]}"
    if cut := _CUT.fullmatch(text):
        return f"{'разрыв' if cut[1] == 'cut at' else 'отрезает'}: {cut[2]}"
    if merged := _MERGED.fullmatch(text):
        return f"объединён с {merged[1]}"
    if person := _PERSON.fullmatch(text):
        return f"{'закрыл' if person[1] == 'closed' else 'отказал'} человек: {person[2]}"
    return _MESSAGES.get(text, text)
