"""The examples of Celery and arq, with real workers."""

from __future__ import annotations

import importlib
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import WITHIN, make_store, numbers, port

if TYPE_CHECKING:
    from conftest import Store

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A running engine with a product of three units, at the examples' addresses."""
    store = make_store("socket", tmp_path)
    with store.engine() as engine:
        engine.create_product("Lamp", "19.99", 3)
    redis = f"redis://127.0.0.1:{port('STOCKADE_TEST_REDIS')}"
    monkeypatch.setenv("STOCKADE_STORE", store.url)
    monkeypatch.setenv("ARQ_REDIS", redis)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return store


@pytest.fixture
def queue() -> str:
    """A queue that no other test uses."""
    return f"shop-{uuid.uuid4().hex}"


def test_celery_runs_a_task_twice_and_buys_once(
    shop: Store, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Celery's Redis transport and arq need different versions of redis-py.
    monkeypatch.setenv("CELERY_BROKER", "memory://")
    monkeypatch.setenv("CELERY_RESULTS", "cache+memory://")
    celery: Any = importlib.import_module("celery_app")
    testing: Any = importlib.import_module("celery.contrib.testing.worker")
    options = {"pool": "solo", "perform_ping_check": False, "queues": [queue]}
    with testing.start_worker(celery.app, **options):
        sent = [celery.buy.apply_async((cart, 1, 2), queue=queue) for cart in ("a", "a", "b")]
        answers = [result.get(timeout=WITHIN) for result in sent]
        assert answers == [1, 1, None]
        assert celery.audit.apply_async(queue=queue).get(timeout=WITHIN) is True
    celery.engine().close()
    celery.engine.cache_clear()
    with shop.engine() as engine:
        assert numbers(engine, 1) == (1, 0, 2, 0)


# arq 0.28 calls redis-py by a name that redis-py 5 deprecates.
@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")
async def test_arq_runs_a_job_twice_and_buys_once(shop: Store, queue: str) -> None:
    arq: Any = importlib.import_module("arq")
    module: Any = importlib.import_module("arq_worker")
    redis = importlib.import_module("arq.connections").RedisSettings.from_dsn(
        os.environ["ARQ_REDIS"]
    )
    pool = await arq.create_pool(redis, default_queue_name=queue)
    for cart in ("a", "a", "b"):
        await pool.enqueue_job("buy", cart, 1, 2)
    burst = arq.worker.Worker(
        functions=module.Worker.functions,
        queue_name=queue,
        on_startup=module.open_engine,
        on_shutdown=module.close_engine,
        redis_pool=pool,
        burst=True,
        handle_signals=False,
        poll_delay=0.01,
    )
    await burst.main()
    results = [
        result.result for result in await pool.all_job_results() if result.queue_name == queue
    ]
    await burst.close()
    assert len(results) == 3
    orders = {order for order in results if order is not None}
    assert len(orders) == 1
    with shop.engine() as engine:
        assert numbers(engine, 1) == (1, 0, 2, 0)
