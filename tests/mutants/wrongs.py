"""What a person could write wrong at one node of a syntax tree, and how to do and undo it."""

import ast
import re
from collections.abc import Callable, Iterator

COMPARE = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATE = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}  # fmt: skip
SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any", "and_": "or_", "or_": "and_"}
UNWRAPPED = {"sorted", "reversed", "abs", "frozenset", "dict.fromkeys"}
# Calls of which each argument is a condition, a column or a step of its own.
EACH_COUNTS = {
    "where", "and_", "or_", "order_by", "group_by", "select", "returning", "values", "filter",
}  # fmt: skip
CHAINED = {"desc", "asc", "nulls_last", "nulls_first", "distinct", "limit", "with_for_update"}
SQL = re.compile(r"\b(SELECT|UPDATE|INSERT|DELETE|WHERE|FROM|JOIN)\b")
# What one would write wrong in SQL; each place is a mutant.
IN_SQL = (
    (re.compile(r"<="), "<"), (re.compile(r"(?<![<>=!-])>="), ">"), (re.compile(r"<>"), "="),
    (re.compile(r"(?<![<>=!:])<(?![=>])"), "<="), (re.compile(r"\bAND\b"), "OR"),
    (re.compile(r"\bOR\b"), "AND"), (re.compile(r"\bIS NOT NULL\b"), "IS NULL"),
    (re.compile(r"\bIS NULL\b"), "IS NOT NULL"), (re.compile(r"\bNOT EXISTS\b"), "EXISTS"),
    (re.compile(r"\bmin\("), "max("), (re.compile(r"\bmax\("), "min("),
    (re.compile(r"\bDESC\b"), "ASC"), (re.compile(r"\bLEFT JOIN\b"), "JOIN"),
    (re.compile(r"\bcount\("), "1 + count("),
)  # fmt: skip
# Keywords that change nothing that is promised: how a statement is sent, what can't be anyway, and
# what a thread is called.
NOT_MEANT = {("literal", "literal_execute"), ("zip", "strict"), ("Thread", "name")}

Change = Callable[[], Callable[[], None]]
Wrongs = Iterator[tuple[str, Change]]


def wrongs_at(node: ast.AST, parent: ast.AST) -> Wrongs:
    """What could be wrong at this node: a name, and how to do it (which returns how to undo it)."""
    if wrongs := WRONGS.get(type(node)):
        yield from wrongs(node, parent)


def _comparisons(node: ast.Compare, _: ast.AST) -> Wrongs:
    for i, operator in enumerate(node.ops):
        other = COMPARE[type(operator)]()
        yield f"{_sign(operator)} becomes {_sign(other)}", _item(node.ops, i, other)


def _booleans(node: ast.BoolOp, parent: ast.AST) -> Wrongs:
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield f"{_sign(node.op)} becomes {_sign(other)}", _field(node, "op", other)
    for i, value in enumerate(node.values):
        last = node.values[1 - i] if len(node.values) == 2 else None
        yield (
            f"without the condition `{_short(value)}`",
            _replace(parent, node, last) if last else _drop(node.values, i),
        )


def _negations(node: ast.UnaryOp, parent: ast.AST) -> Wrongs:
    if isinstance(node.op, ast.Not):
        yield f"`{_short(node)}` loses its not", _replace(parent, node, node.operand)


def _arithmetic(node: ast.BinOp | ast.AugAssign, _: ast.AST) -> Wrongs:
    if type(node.op) in OPERATE and not _is_type(node):
        other = OPERATE[type(node.op)]()
        yield f"{_sign(node.op)} becomes {_sign(other)}", _field(node, "op", other)


def _filters(node: ast.comprehension, _: ast.AST) -> Wrongs:
    for i, condition in enumerate(node.ifs):
        yield f"without `if {_short(condition)}`", _drop(node.ifs, i)


def _guards(node: ast.match_case, _: ast.AST) -> Wrongs:
    if node.guard is not None:
        yield f"without the guard `{_short(node.guard)}`", _field(node, "guard", None)


def _returns(node: ast.Return, _: ast.AST) -> Wrongs:
    if node.value is not None and not _is_none(node.value):
        what = f"returns None, not `{_short(node.value)}`"
        yield what, _field(node, "value", ast.Constant(None))


def _statements(node: ast.Expr | ast.Raise, parent: ast.AST) -> Wrongs:
    if isinstance(node, ast.Raise) or isinstance(node.value, ast.Call | ast.Await):
        yield f"without `{_short(node)}`", _replace(parent, node, ast.Pass())


def _jumps(node: ast.Break | ast.Continue, parent: ast.AST) -> Wrongs:
    other = ast.Continue() if isinstance(node, ast.Break) else ast.Break()
    yield f"{_short(node)} becomes {_short(other)}", _replace(parent, node, other)


def _entries(node: ast.Dict, _: ast.AST) -> Wrongs:
    for i, key in enumerate(node.keys):
        yield f"without the entry `{_short(key) if key else '**'}`", _drop_entry(node, i)


def _elements(node: ast.Tuple | ast.List | ast.Set, parent: ast.AST) -> Wrongs:
    is_loaded = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
    if len(node.elts) > 1 and is_loaded and not _is_type(parent):
        for i, one in enumerate(node.elts):
            yield f"without `{_short(one)}` in its list", _drop(node.elts, i)


def _constants(node: ast.Constant, parent: ast.AST) -> Wrongs:
    match node.value:
        case bool():
            yield f"{node.value} becomes {not node.value}", _field(node, "value", not node.value)
        case int():
            yield f"{node.value} becomes {node.value + 1}", _field(node, "value", node.value + 1)
        case float():
            yield (
                f"{node.value} becomes {node.value * 2 + 1}",
                _field(node, "value", node.value * 2 + 1),
            )
        case str() if _is_name_of_a_part(parent):
            return
        case str() if SQL.search(node.value):
            yield from _sql(node, node.value)
        case str() if (
            node.value and " " not in node.value and not isinstance(parent, ast.Subscript)
        ):
            yield (
                f"{node.value!r} becomes {'X' + node.value!r}",
                _field(node, "value", "X" + node.value),
            )


def _is_name_of_a_part(parent: ast.AST) -> bool:
    """Whether it names a part of a statement, which any other name would do as well."""
    return isinstance(parent, ast.Call) and _name(parent.func) in ("cte", "alias", "subquery")


def _sql(node: ast.Constant, text: str) -> Wrongs:
    for pattern, other in IN_SQL:
        for found in pattern.finditer(text):
            changed = text[: found.start()] + other + text[found.end() :]
            near = " ".join(text[max(0, found.start() - 20) : found.end() + 20].split())
            yield f"{found[0]} becomes {other} in SQL: …{near}…", _field(node, "value", changed)


def _conditions(node: ast.If | ast.While | ast.IfExp, _: ast.AST) -> Wrongs:
    if not isinstance(node.test, ast.Compare | ast.UnaryOp):
        negated = ast.UnaryOp(ast.Not(), node.test)
        yield f"`{_short(node.test)}` is negated", _field(node, "test", negated)
    if isinstance(node, ast.If) and not node.orelse:
        yield f"never `{_short(node.test)}`", _field(node, "test", ast.Constant(False))


def _calls(node: ast.Call, parent: ast.AST) -> Wrongs:
    name = _name(node.func)
    if isinstance(node.func, ast.Name) and name in SWAPPED:
        yield f"{name} becomes {SWAPPED[name]}", _field(node.func, "id", SWAPPED[name])
    if name in UNWRAPPED and len(node.args) == 1 and not isinstance(node.args[0], ast.Set):
        yield f"without {name}()", _replace(parent, node, node.args[0])
    if isinstance(node.func, ast.Attribute) and name in CHAINED:
        yield f"without .{name}()", _replace(parent, node, node.func.value)
    if name in EACH_COUNTS and len(node.args) > 1:
        for i, argument in enumerate(node.args):
            yield f"without `{_short(argument)}` in {name}()", _drop(node.args, i)
    for i, keyword in enumerate(node.keywords):
        if keyword.arg is not None and is_meant(node, keyword):
            yield f"without {keyword.arg}= in {name}()", _drop(node.keywords, i)


def is_meant(call: ast.Call, keyword: ast.keyword) -> bool:
    """Whether a promise may hang on this keyword of a call."""
    return (_name(call.func), keyword.arg) not in NOT_MEANT


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_type(node: ast.AST) -> bool:
    """Whether this is a type, like `int | None` or `Mapping[str, int]`."""
    if isinstance(node, ast.Subscript):
        return True
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)):
        return False
    sides = (node.left, node.right)
    return any(
        _is_none(side) or (isinstance(side, ast.Name) and side.id[:1].isupper()) or _is_type(side)
        for side in sides
    )


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _sign(operator: ast.AST) -> str:
    return {
        "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Eq": "==", "NotEq": "!=", "Is": "is",
        "IsNot": "is not", "In": "in", "NotIn": "not in", "And": "and", "Or": "or", "Add": "+",
        "Sub": "-", "Mult": "*", "FloorDiv": "//", "Div": "/", "Mod": "%", "Pow": "**",
        "BitAnd": "&", "BitOr": "|",
    }[type(operator).__name__]  # fmt: skip


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else text[:57] + "…"


def _field(node: ast.AST, name: str, value: object) -> Change:
    def change() -> Callable[[], None]:
        before = getattr(node, name)
        setattr(node, name, value)
        return lambda: setattr(node, name, before)

    return change


def _item(items: list[ast.cmpop], i: int, value: ast.cmpop) -> Change:
    def change() -> Callable[[], None]:
        before, items[i] = items[i], value
        return lambda: items.__setitem__(i, before)

    return change


def _drop(items: list[ast.AST] | list[ast.expr] | list[ast.keyword], i: int) -> Change:
    def change() -> Callable[[], None]:
        before = items.pop(i)
        return lambda: items.insert(i, before)  # type: ignore[arg-type]

    return change


def _drop_entry(node: ast.Dict, i: int) -> Change:
    def change() -> Callable[[], None]:
        key, value = node.keys.pop(i), node.values.pop(i)

        def undo() -> None:
            node.keys.insert(i, key)
            node.values.insert(i, value)

        return undo

    return change


def _replace(parent: ast.AST, node: ast.AST, other: ast.AST) -> Change:
    """Another node in the place of this one, wherever in its parent that is."""

    def change() -> Callable[[], None]:
        for name, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, name, other)
                return lambda: setattr(parent, name, node)
            if isinstance(value, list) and any(one is node for one in value):
                i = next(i for i, one in enumerate(value) if one is node)
                value[i] = other
                return lambda: value.__setitem__(i, node)
        raise LookupError("the node has moved")

    return change


WRONGS: dict[type, Callable[..., Wrongs]] = {
    ast.Compare: _comparisons, ast.BoolOp: _booleans, ast.UnaryOp: _negations,
    ast.BinOp: _arithmetic, ast.AugAssign: _arithmetic, ast.Constant: _constants,
    ast.If: _conditions, ast.While: _conditions, ast.IfExp: _conditions,
    ast.comprehension: _filters, ast.match_case: _guards, ast.Return: _returns,
    ast.Expr: _statements, ast.Raise: _statements, ast.Break: _jumps, ast.Continue: _jumps,
    ast.Dict: _entries, ast.Tuple: _elements, ast.List: _elements, ast.Set: _elements,
    ast.Call: _calls,
}  # fmt: skip
