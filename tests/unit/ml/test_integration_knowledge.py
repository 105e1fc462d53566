"""The library's loop with a knowledge base of real runbooks: an analysis comes with the page that fits."""

import asyncio

from x0tta6bl4.ml.integration import MLEnhancedMAPEK
from x0tta6bl4.ml.rag import RAGAnalyzer, runbook_documents


async def analysed(query, readings=None):
    knowledge = RAGAnalyzer()
    await knowledge.index_knowledge(runbook_documents("en"))
    system = MLEnhancedMAPEK(healthy={"loss_ratio": (0, 0.05)}, retriever=knowledge)
    return await system.analyze_with_rag(await system.monitor_with_ml(readings or {"loss_ratio": 0.4}), query)


def test_the_page_that_fits_comes_with_the_analysis():
    analysis = asyncio.run(analysed("the link loses packets both ways"))
    assert analysis.knowledge_context[0].id == "runbooks/link-lossy.md"
    assert analysis.knowledge_context[0].similarity > analysis.knowledge_context[-1].similarity
    assert (analysis.knowledge_error, analysis.query) == ("", "the link loses packets both ways")


def test_a_code_finds_its_page_whatever_else_is_asked():
    analysis = asyncio.run(analysed("interface-mtu-low"))
    assert [passage.id for passage in analysis.knowledge_context if passage.similarity == 1] == [
        "runbooks/interface-mtu-low.md"
    ]


def test_an_empty_knowledge_base_is_no_error():
    async def asked():
        system = MLEnhancedMAPEK(healthy={"loss_ratio": (0, 0.05)}, retriever=RAGAnalyzer())
        return await system.analyze_with_rag(await system.monitor_with_ml({"loss_ratio": 0.4}), "loss")

    analysis = asyncio.run(asked())
    assert (analysis.knowledge_context, analysis.knowledge_error) == ((), "")
