"""Holds an answer against the classes of Stripe's own library: the second opinion on shapes."""

import builtins
import sys
import typing
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

import stripe
from stripe._list_object import ListObject
from stripe._stripe_object import StripeObject, UntypedStripeObject

_NAMES = {
    **vars(stripe),
    "ListObject": ListObject,
    "UntypedStripeObject": UntypedStripeObject,
}


def differences(answer: Any, kind: type[StripeObject], *, path: str = "") -> Iterator[str]:
    """What the library does not know, what it wants and is not there, and what has another type."""
    declared = _fields(kind)
    for name in answer:
        if name not in declared and name != "object":
            yield f"{path}{name} is unknown to {kind.__qualname__}"
    for name, type_ in declared.items():
        value = answer.get(name)
        if value is None:
            if not _may_be_none(type_):
                yield f"{path}{name} is missing"
        else:
            yield from _differences_of(value, type_, f"{path}{name}")


def _differences_of(value: Any, type_: Any, path: str) -> Iterator[str]:
    choices = [one for one in _choices(type_) if one is not type(None)]
    if isinstance(value, dict):
        for one in choices:
            if isinstance(one, type) and issubclass(one, StripeObject):
                if one is not UntypedStripeObject:
                    yield from differences(value, one, path=f"{path}.")
                return
        if not any(
            one is dict
            or get_origin(one) is dict
            or "Untyped" in str(one)
            or "ListObject" in str(one)
            for one in choices
        ):
            yield f"{path} is a hash, not {type_}"
    elif isinstance(value, list):
        lists = [one for one in choices if get_origin(one) is list]
        if not lists:
            yield f"{path} is a list, not {type_}"
        for place, one in enumerate(value):
            yield from _differences_of(one, get_args(lists[0])[0], f"{path}[{place}]")
    elif not any(_is(value, one) for one in choices):
        yield f"{path} is {value!r}, not {type_}"


def _is(value: Any, type_: Any) -> bool:
    if get_origin(type_) is typing.Literal:
        return value in get_args(type_)
    if isinstance(type_, type) and issubclass(type_, bool | int | str | float):
        return type(value) is type_
    return type_ is Any


def _choices(type_: Any) -> list[Any]:
    if get_origin(type_) is Union:
        return [one for choice in get_args(type_) for one in _choices(choice)]
    return [type_]


def _may_be_none(type_: Any) -> bool:
    return any(one is type(None) or one is Any for one in _choices(type_))


class _Scope(dict[str, Any]):
    """The names that annotations use; those that only type checkers know are looked up, too."""

    def __missing__(self, name: str) -> Any:
        return getattr(stripe, name, None) or getattr(builtins, name, UntypedStripeObject)


def _fields(kind: type[StripeObject]) -> dict[str, Any]:
    """The fields that a class declares, with their types."""
    scope = _Scope({**vars(sys.modules[kind.__module__]), **_NAMES, **vars(kind)})
    return {
        name: _resolved(type_, scope)
        for name, type_ in kind.__annotations__.items()
        if "ClassVar" not in str(type_)
    }


def _resolved(type_: Any, scope: _Scope) -> Any:
    """A type without names in quotes."""
    if isinstance(type_, typing.ForwardRef):
        type_ = type_.__forward_arg__
    if isinstance(type_, str):
        return _resolved(eval(type_, {}, scope), scope)  # noqa: S307  # the library's own
    if get_origin(type_) is typing.Literal:
        return type_
    inner = tuple(_resolved(one, scope) for one in get_args(type_))
    match get_origin(type_):
        case origin if origin is Union:
            return Union[inner]  # noqa: UP007  # made of what was read
        case origin if origin in (list, dict):
            return origin[inner]
    return type_
