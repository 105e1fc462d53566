# ruff: noqa: RUF001  # letters of Russian that look like letters of English are meant to be here
"""Explanations in Russian."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from x0tta6bl4.ml.explanation.facts import Bound, Evidence, Facts, Quote, Refusal, Rival, Step
from x0tta6bl4.ml.explanation.russian_mesh import GUARDS, message
from x0tta6bl4.ml.explanation.values import Section
from x0tta6bl4.ml.explanation.words import Titles, bracketed, day, figure, lapse, moment, quoted
from x0tta6bl4.ml.similar import Record, Remedy, Similar
from x0tta6bl4.model import ActionState, Seconds, Severity

_KINDS: Final = {
    "adjacency": "линк",
    "link": "линк",
    "node": "узел",
    "interface": "интерфейс",
    "partition": "часть сети",
    "service": "служба",
}
_UNITS: Final = {"d": "д", "h": "ч", "min": "мин", "s": "с"}
_SEVERITIES: Final = {
    Severity.INFO: "к сведению",
    Severity.MINOR: "незначительная",
    Severity.MAJOR: "серьёзная",
    Severity.CRITICAL: "критическая",
}
_INCIDENT_STATES: Final = {"open": "открыт", "mitigated": "смягчён временной мерой", "closed": "закрыт"}
_EXPECTED: Final = {
    Bound.BELOW: "норма — ниже {}",
    Bound.ABOVE: "норма — выше {}",
    Bound.USUAL: "норма — не больше чем на {} выше обычного",
    Bound.SCORE: "норма — оценка отклонения ниже {}",
    Bound.NONE: "порог — {}",
}
_STATES: Final = {
    ActionState.PROPOSED: "предложено",
    ActionState.REFUSED: "не выполнено",
    ActionState.AWAITING: "ждёт согласия человека",
    ActionState.EXPIRED: "не выполнено",
    ActionState.INTENDED: "вот-вот будет выполнено",
    ActionState.APPLIED: "выполнено, но ещё не доказано",
    ActionState.PROVING: "выполнено и доказывается",
    ActionState.UNDOING: "отменяется",
    ActionState.UNDO_FAILED: "отменить не удалось, это должен сделать человек",
}


def plural(count: int, one: str, few: str, many: str) -> str:
    """The form of a noun after a whole number.

    >>> [plural(n, "раз", "раза", "раз") for n in (1, 2, 5, 11, 21, 112, 104)]
    ['раз', 'раза', 'раз', 'раз', 'раз', 'раз', 'раза']
    >>> [plural(n, "симптом", "симптома", "симптомов") for n in (1, 3, 12, 22, 25)]
    ['симптом', 'симптома', 'симптомов', 'симптома', 'симптомов']
    """
    if count % 10 == 1 and count % 100 != 11:
        return one
    return few if count % 10 in (2, 3, 4) and count % 100 not in (12, 13, 14) else many


def _number(text: str) -> str:
    return text.replace(".", ",")


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.0f} %"


def _said(text: str) -> str:
    return f"«{quoted(message(text))}»"


def _least(record: Record) -> str:
    return "не меньше " if record.more else ""


class Russian:
    """`words.Words` in Russian. titles: `russian_mesh.TITLES`, or other words for another catalogue."""

    language = "ru"
    headings: Mapping[str, str] = {
        Section.WRONG: "Что случилось",
        Section.WHY: "Почему мы так считаем",
        Section.BEFORE: "Что было раньше",
        Section.DONE: "Что сделано и помогло ли",
        Section.BY_HAND: "Что сделать вручную",
        Section.UNCERTAIN: "В чём нет уверенности",
        "": "Источники",
    }

    def __init__(self, titles: Titles) -> None:
        self._titles = titles

    def _title(self, key: str) -> str:
        return bracketed(self._titles.get(key, ""))

    def _at(self, component: str) -> str:
        kind, _, name = component.partition("/")
        return quoted(f"{_KINDS.get(kind, kind)} {name}")

    def _lapse(self, seconds: Seconds) -> str:
        return " ".join(f"{_number(number)} {_UNITS[unit]}" for number, unit in lapse(seconds))

    def what(self, facts: Facts) -> str:
        """What is wrong with what."""
        kind = facts.component.partition("/")[0]
        said = self._titles.get(f"cause/{facts.cause}/{kind}", "")
        head = f"{facts.cause}, {self._at(facts.component)}" + (f": {said}" if said else "")
        return f"{head}; серьёзность — {_SEVERITIES[facts.severity]}, уверенность — {_percent(facts.confidence)}."

    def found(self, detail: str) -> str:
        """What the analyzer said about it."""
        return f"Вывод анализа: {_said(detail)}."

    def behind(self, components: Sequence[str]) -> str:
        """Who is cut off by it."""
        return f"Из-за этого отрезаны: {', '.join(map(self._at, components))}."

    def when(self, facts: Facts) -> str:
        """When it was opened, how soon, and how it stands."""
        when = f" {moment(facts.opened_utc)}" if facts.opened_utc else ""
        head = f"Инцидент открыт{when}, через {self._lapse(facts.detect_s)} после первого признака"
        if facts.open_s is not None:
            return f"{head}, и закрыт через {self._lapse(facts.open_s)}."
        return f"{head}; сейчас он {_INCIDENT_STATES[facts.state]}."

    def symptom(self, evidence: Evidence) -> str:
        """One reading against what is expected."""
        value = "значения нет" if evidence.value is None else _number(figure(evidence.value))
        expected = _EXPECTED[evidence.bound].format(_number(figure(evidence.threshold)))
        return (
            f"{evidence.code}{self._title(f'symptom/{evidence.code}')}, {self._at(evidence.component)}: "
            f"{evidence.metric}{self._title(f'metric/{evidence.metric}')} — {value}, {expected}; "
            f"первый признак — за {self._lapse(evidence.before_s)} до открытия инцидента."
        )

    def more(self, count: int) -> str:
        """Symptoms that are not listed one by one."""
        noun = plural(count, "симптом", "симптома", "симптомов")
        return f"Ту же причину {plural(count, 'подтверждает', 'подтверждают', 'подтверждают')} ещё {count} {noun}."

    def _remedies(self, record: Record) -> str:
        helped = [f"{self._remedy(one)} ({one.helped} из {one.known})" for one in record.remedies if one.helped]
        said = f"; помогло: {', '.join(helped)}" if helped else "; неизвестно, чтобы какое-то действие помогло"
        if record.median_s is None:
            return said
        return f"{said}, медиана от первого признака до доказательства — {self._lapse(record.median_s)}"

    def _remedy(self, remedy: Remedy) -> str:
        return f"{remedy.kind}, {self._at(remedy.target)}" if remedy.target else remedy.kind

    def repeats(self, record: Record) -> str:
        """How often the same was there, and what helped."""
        times = f"{_least(record)}{record.times} {plural(record.times, 'раз', 'раза', 'раз')}"
        return f"То же самое уже было {times}, последний раз {day(record.last_utc)}{self._remedies(record)}."

    def like(self, record: Record, nearest: Similar) -> str:
        """Incidents that resemble it, and what helped."""
        noun = plural(record.times, "Похожий инцидент", "Похожих инцидента", "Похожих инцидентов")
        past = nearest.past
        return (
            f"{noun}: {_least(record)}{record.times}, ближайший — "
            f"{day(past.ended_utc)}: {past.cause}, {self._at(past.component)}{self._remedies(record)}."
        )

    def useless(self, remedies: Sequence[Remedy]) -> str:
        """What never helped."""
        return f"Тогда не помогло: {', '.join(f'{self._remedy(one)} (0 из {one.known})' for one in remedies)}."

    def new(self) -> str:
        """Nothing like it is remembered."""
        return "Похожих инцидентов в памяти нет."

    def refused(self, refusal: Refusal) -> str:
        """What a guard kept from being done."""
        rule = quoted(refusal.guard) + bracketed(GUARDS.get(refusal.guard, ""))
        reason = f": {_said(refusal.reason)}" if refusal.reason else ""
        return f"{refusal.kind}, {self._at(refusal.target)}: не допустило правило {rule}{reason}."

    def step(self, step: Step) -> str:
        """What was done, how it stands, and its proof."""
        values = ", ".join(
            f"{name} = {value if isinstance(value, str) else _number(figure(value))}" for name, value in step.parameters
        )
        head = f"{step.kind}{self._title(f'action/{step.kind}')}, {', '.join(map(self._at, step.targets))}"
        head += f", {quoted(values)}" if values else ""
        return f"{head}: {self._stands(step)}."

    def _stands(self, step: Step) -> str:
        said = _said(step.detail) if step.detail else ""
        proved = "" if step.proved_s is None else f" через {self._lapse(step.proved_s)} после первого признака"
        if step.state is ActionState.CONFIRMED:
            held = "; держится, пока обходимое не станет исправным" if step.lease else ""
            return f"выполнено и доказано{proved}{bracketed(said)}{held}"
        if step.state is ActionState.UNDONE and step.proved_s is not None:
            state = f"выполнено, доказано{proved} и позже отменено"
        elif step.state is ActionState.UNDONE:
            state = "выполнено, не доказано и отменено" if step.applied else "отменено"
        else:
            state = _STATES[step.state]
        return f"{state}: {said}" if said else state

    def helped(self, kinds: Sequence[str], *, good: bool) -> str:
        """What healed, or did not."""
        if good:
            return f"Помогло: {', '.join(kinds)} — после доказательства инцидент закрылся."
        return f"Не помогло: {', '.join(kinds)}."

    def pending(self, kinds: Sequence[str]) -> str:
        """It is too early to say what helped."""
        return f"Помогло ли {' и '.join(kinds)}, станет известно, когда инцидент закроется."

    def nothing_done(self) -> str:
        """Nothing was done."""
        return "Ничего не предпринималось."

    def seen(self, by: str) -> str:
        """A person has seen it."""
        who = quoted(by)
        return f"Инцидент видел человек: {who}." if who else "Инцидент видел человек."

    def note(self, note: str) -> str:
        """Why it was closed."""
        return f"Причина закрытия: {_said(note)}."

    def own(self, own: Quote) -> str:
        """What operators' own pages say about it."""
        return f"На вашей странице «{quoted(own.title)}» сказано: «{quoted(own.text)}»."

    def no_page(self, code: str) -> str:
        """No runbook is known."""
        return f"Страницы о {code} в справочнике нет."

    def foreign_page(self) -> str:
        """The runbook has no page in this language."""
        return "Страница справочника есть только на английском."

    def against(self, what: str) -> str:
        """What speaks against the cause."""
        return f"Против этого говорит: {quoted(what)}."

    def rival(self, rival: Rival) -> str:
        """What else it could be."""
        where, sure = self._at(rival.component), _percent(rival.confidence)
        return f"Это может быть и {rival.code}, {where} (уверенность — {sure})."

    def missing(self, codes: Sequence[str]) -> str:
        """What the cause needs and nobody read."""
        said = [code + self._title(f"symptom/{code}") for code in codes]
        return f"Ожидалось, но не измерено: {', '.join(said)}."

    def no_value(self, evidence: Evidence) -> str:
        """A reading without a value."""
        return f"{evidence.metric}, {self._at(evidence.component)}: значения нет."

    def silent(self, sensor: str, why: str) -> str:
        """A sensor that gives nothing."""
        return f"Датчик {quoted(sensor)} сейчас ничего не даёт: {_said(why)}."

    def certain(self) -> str:
        """Nothing else explains it."""
        return "Других объяснений нет, и всё, что нужно для этой причины, измерено."
