"""What is kept on disk: decisions in a database (`SqlStore`), readings in bounded column blocks (`Blocks`)."""

from x0tta6bl4.core.store.backup import restore
from x0tta6bl4.core.store.blocks import Blocks, Series
from x0tta6bl4.core.store.examine import Examined
from x0tta6bl4.core.store.ids import Ids
from x0tta6bl4.core.store.reads import Entry, History, Pass
from x0tta6bl4.core.store.recorder import Recorder
from x0tta6bl4.core.store.store import SqlStore
from x0tta6bl4.core.store.times import Retention
from x0tta6bl4.core.store.trouble import StoreBusy, StoreCorrupt, StoreFull, StoreInUse, StoreTooNew

__all__ = [
    "Blocks",
    "Entry",
    "Examined",
    "History",
    "Ids",
    "Pass",
    "Recorder",
    "Retention",
    "Series",
    "SqlStore",
    "StoreBusy",
    "StoreCorrupt",
    "StoreFull",
    "StoreInUse",
    "StoreTooNew",
    "restore",
]
