"""``Watch``: whether there is under names what there was.

A name is looked for first where it was the last time, so the places of names change here, too.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import Any

import pytest
from turbosqs import _core


def make_class() -> Any:
    return type("Owner", (), {"__slots__": ("__dict__",), "first": 0, "name": None, "last": 0})


#: Who has names: something whose attributes are set as everybody sets them, and its namespace is its ``__dict__``.
OWNERS: dict[str, Callable[[], Any]] = {
    "class": make_class,
    # Its attributes share their names with those of others of its class.
    "object": lambda: make_class()(),
    "module": lambda: ModuleType("owner"),
}


@pytest.fixture(params=OWNERS)
def owner(request: pytest.FixtureRequest) -> Any:
    made = OWNERS[request.param]()
    for name in ("first", "name", "last"):
        setattr(made, name, object())
    return made


def watch(owner: Any, name: str = "name") -> _core.Watch:
    return _core.Watch([(vars(owner), name, vars(owner).get(name))])


def test_it_is_replaced_and_comes_back(owner: Any) -> None:
    value, watching = owner.name, watch(owner)
    assert watching.is_same()
    for other in (object(), None):
        owner.name = other
        assert not watching.is_same()
    owner.name = value
    assert watching.is_same()


def test_it_is_taken_away_and_comes_back(owner: Any) -> None:
    """What comes after it is where it was, then; and it comes back behind that."""
    value, watching = owner.name, watch(owner)
    del owner.name
    assert not watching.is_same()
    owner.name = object()
    assert not watching.is_same()
    owner.name = value
    assert watching.is_same()


def test_another_name_has_its_place_and_its_value(owner: Any) -> None:
    watching = watch(owner)
    owner.last = owner.name
    del owner.name
    assert not watching.is_same()


@pytest.mark.parametrize("more", [0, 1, 200])
def test_its_place_is_another(more: int, owner: Any) -> None:
    """Names before it go, and names come, until the dict has made itself anew."""
    value, watching = owner.name, watch(owner)
    del owner.first
    for number in range(more):
        setattr(owner, f"more{number}", value)
    assert watching.is_same()
    owner.name = object()
    assert not watching.is_same()


def test_all_names_go(owner: Any) -> None:
    watching = watch(owner, "last")
    for name in ("first", "name", "last"):
        delattr(owner, name)
    assert not watching.is_same()


def test_a_name_that_was_not_there(owner: Any) -> None:
    watching = watch(owner, "absent")
    assert watching.is_same()
    owner.absent = object()
    assert not watching.is_same()
    # As good as nothing.
    owner.absent = None
    assert watching.is_same()
    del owner.absent
    assert watching.is_same()


def test_a_name_that_is_not_interned(owner: Any) -> None:
    name = "".join(["na", "me"])
    watching = _core.Watch([(vars(owner), name, owner.name)])
    assert watching.is_same()
    owner.name = object()
    assert not watching.is_same()


def test_a_key_that_is_not_interned() -> None:
    value = object()
    namespace = {"".join(["na", "me"]): value}
    watching = _core.Watch([(namespace, "name", value)])
    assert watching.is_same()
    namespace["name"] = object()
    assert not watching.is_same()


def test_a_name_that_is_no_text_of_rusts() -> None:
    name, value = "\ud800", object()
    namespace = {name: value}
    watching = _core.Watch([(namespace, name, value), (namespace, "\ud801", None)])
    assert watching.is_same()
    namespace[name] = None
    assert not watching.is_same()


class Odd(Mapping[str, Any]):
    """A mapping that is no dict."""

    def __init__(self, **contents: Any) -> None:
        self.contents = contents

    def __getitem__(self, name: str) -> Any:
        return self.contents[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.contents)

    def __len__(self) -> int:
        return len(self.contents)


class Computing(dict[str, Any]):
    """A dict whose methods say something else than it holds."""

    contents: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.contents[name]

    def __contains__(self, name: object) -> bool:
        return name in self.contents


def computing(**contents: Any) -> Any:
    made = Computing(name="never looked at")
    made.contents = contents
    return made


@pytest.mark.parametrize("is_proxy", [False, True], ids=["itself", "proxy"])
@pytest.mark.parametrize("make", [Odd, computing])
def test_a_namespace_that_is_no_dict(make: Callable[..., Any], is_proxy: bool) -> None:
    value = object()
    namespace = make(name=value)
    looked_at = MappingProxyType(namespace) if is_proxy else namespace
    watching = _core.Watch([(looked_at, "name", value), (looked_at, "absent", None)])
    assert watching.is_same()
    namespace.contents["absent"] = value
    assert not watching.is_same()
    del namespace.contents["absent"]
    assert watching.is_same()
    del namespace.contents["name"]
    assert not watching.is_same()


def test_a_namespace_that_raises() -> None:
    """Whatever it is, that is a difference."""

    class Raising(Odd):
        def __getitem__(self, name: str) -> Any:
            raise ZeroDivisionError(name)

    value = object()
    assert not _core.Watch([(Raising(name=value), "name", value)]).is_same()


def test_a_class_of_the_interpreters_own() -> None:
    assert _core.Watch([(vars(int), "bit_length", vars(int)["bit_length"]), (vars(int), "absent", None)]).is_same()
    assert not _core.Watch([(vars(int), "bit_length", object())]).is_same()


class Held:
    """What a weak reference can be to."""


def test_it_is_gone_with_what_it_watches(owner: Any) -> None:
    """Even where that holds the watch."""
    value = Held()
    owner.name, left = value, weakref.ref(value)
    value.watch = watch(owner)  # type: ignore[attr-defined]
    del value
    gc.collect()
    assert left() is not None
    owner.name = None
    gc.collect()
    assert left() is None


def test_a_mapping_is_gone_with_what_it_watches() -> None:
    namespace = Odd(name=Held())
    left = weakref.ref(namespace.contents["name"])
    namespace.contents["watch"] = _core.Watch([(namespace, "name", left())])
    del namespace
    gc.collect()
    assert left() is None
