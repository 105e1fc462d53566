# ruff: noqa: RUF001  # Russian is meant here
"""Questions in Russian, as people ask them, find the Russian page of their cause among all pages of both languages."""

import asyncio

import pytest

from x0tta6bl4.knowledge import runbooks
from x0tta6bl4.ml.rag import RAGAnalyzer, runbook_documents

QUESTIONS = {
    "agent-down": ["Узел отвечает на пинг, но агент на нём молчит", "агент перестал присылать отчёты"],
    "interface-down": ["сетевая карта потеряла линк на порту", "радио интерфейс выключился сам"],
    "interface-mtu-low": ["vpn подключается, но ничего не грузится", "маленькие пинги идут, а сайты не открываются"],
    "link-down": ["соседи перестали слышать друг друга, линк умер", "антенны смотрят друг на друга, а связи нет"],
    "link-lossy": ["пинг до соседа теряет каждый третий пакет", "сильные потери на радиоканале"],
    "link-slow": ["Почему пинг до соседа стал таким большим?", "игры лагают, канал забит торрентами"],
    "node-down": ["Узел упал и не поднимается", "роутер постоянно перезагружается"],
    "partition": ["один квартал отрезан от остальной сети", "половина узлов не видит другую половину"],
}
ASKED = [(code, question) for code, questions in QUESTIONS.items() for question in questions]


@pytest.fixture(scope="module")
def knowledge():
    made = RAGAnalyzer()
    asyncio.run(made.index_knowledge([page for language in ("en", "ru") for page in runbook_documents(language)]))
    return made


def test_every_cause_with_a_russian_page_is_asked_for():
    assert set(QUESTIONS) == {page.code for page in runbooks("ru") if page.kind == "cause"}


@pytest.mark.parametrize(("code", "question"), ASKED, ids=[f"{code}-{n % 2}" for n, (code, _) in enumerate(ASKED)])
def test_a_question_finds_the_page_first_or_second(knowledge, code, question):
    found = asyncio.run(knowledge.retrieve_context(question, k=2))
    assert f"runbooks/{code}.ru.md" in [document.id for document in found]
