"""How kombu finds the transport: by the patch, whenever kombu is imported, by its path, and by its URL."""

from __future__ import annotations

import pytest
import turbosqs.kombu
from kombu import Connection
from kombu.transport import SQS, get_transport_cls
from support.libraries import SUBJECT
from support.scripts import run
from turbosqs.local import Server


def test_the_patch_puts_it_in_the_place_of_kombus_own() -> None:
    assert get_transport_cls("sqs") is SQS.Transport
    with turbosqs.patched():
        assert get_transport_cls("sqs") is get_transport_cls("SQS") is turbosqs.kombu.Transport
        with turbosqs.patched():
            pass
        assert Connection("sqs://").transport_cls == "sqs"
        assert isinstance(Connection("sqs://").transport, turbosqs.kombu.Transport)
    assert get_transport_cls("sqs") is get_transport_cls("SQS") is SQS.Transport


def test_what_somebody_else_has_put_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    from kombu import transport

    monkeypatch.setitem(transport.TRANSPORT_ALIASES, "sqs", "kombu.transport.memory:Transport")
    monkeypatch.setattr(transport, "_transport_cache", {})
    monkeypatch.setitem(transport.TRANSPORT_ALIASES, "SQS", "elsewhere:Transport")
    with turbosqs.patched():
        assert transport.TRANSPORT_ALIASES["SQS"] == "elsewhere:Transport"
    assert transport.TRANSPORT_ALIASES["sqs"] == "kombu.transport.memory:Transport"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("import turbosqs; turbosqs.patch(); assert 'kombu' not in sys.modules", "import kombu.transport as t"),
        ("import kombu.transport as t", "import turbosqs; turbosqs.patch()"),
    ],
)
def test_kombu_may_be_imported_before_or_after(first: str, then: str) -> None:
    script = f"""
        import sys
        {first}
        {then}
        assert t.TRANSPORT_ALIASES["sqs"] == "turbosqs.kombu:Transport"
        assert "turbosqs.kombu" not in sys.modules, "nothing is imported before it is needed"
        import turbosqs.kombu
        assert t.get_transport_cls("sqs") is turbosqs.kombu.Transport
        # Others may be waited for yet.
        assert t.__spec__.loader is t.__loader__ and not turbosqs._kombu._waiting.is_waiting
        turbosqs.unpatch()
        assert not any("turbosqs" in type(f).__module__ for f in sys.meta_path)
        assert t.get_transport_cls("sqs").__module__ == "kombu.transport.SQS"
        """
    run(SUBJECT, "", script)


def test_a_patch_that_is_taken_back_leaves_nothing() -> None:
    script = """
        import sys
        import turbosqs
        before = list(sys.meta_path)
        turbosqs.patch()
        turbosqs.unpatch()
        assert sys.meta_path == before
        import kombu.transport
        assert kombu.transport.TRANSPORT_ALIASES["sqs"] == "kombu.transport.SQS:Transport"
        """
    run(SUBJECT, "", script)


def test_an_older_kombu_is_let_alone(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("kombu.__version__", "5.6.2")
    with turbosqs.patched():
        assert get_transport_cls("sqs") is SQS.Transport
    assert "needs kombu 5.7, not 5.6.2" in caplog.text


def test_without_the_patch_it_is_found_by_its_path_and_by_its_url() -> None:
    with Server() as server:
        host = server.endpoint_url.removeprefix("http://")
        options = {"region": "us-east-1", "is_secure": False}
        urls = {f"sqs://key:secret@{host}": "turbosqs.kombu:Transport", f"turbosqs+sqs://key:secret@{host}": None}
        for url, transport in urls.items():
            with Connection(url, transport=transport, transport_options=options) as connection:
                assert isinstance(connection.transport, turbosqs.kombu.Transport)
                client = connection.channel().sqs()
                assert client.meta.endpoint_url == server.endpoint_url
                assert client._request_signer._credentials.access_key == "key"
                assert "secret" not in connection.as_uri()
                # As a pool of connections has it.
                assert connection.clone().channel().sqs().meta.endpoint_url == server.endpoint_url
