"""What names mean in our modules: where each is bound at the top level, and who loads it."""

import ast
from collections.abc import Mapping

Place = tuple[str, str]  # module path, name at its top level
Known = dict[str, Place | str]  # a name of a module → a place, or (a text) the path of a module


def module_name(path: str) -> str:
    """`payments.prices.stock`, of a path from the root of the checkout."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def names_in(path: str, tree: ast.Module, modules: Mapping[str, str]) -> Known:
    """What each name means at the top of a module. `modules`: paths by names, of ours."""
    known: Known = {name: (path, name) for statement in tree.body for name in bound(statement)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname and alias.name in modules:
                    known[alias.asname] = modules[alias.name]
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        for alias in node.names:
            name = alias.asname or alias.name
            if f"{node.module}.{alias.name}" in modules:
                known[name] = modules[f"{node.module}.{alias.name}"]
            elif node.module in modules:
                known[name] = (modules[node.module], alias.name)
    return known


def place_of(node: ast.AST, known: Known) -> Place | None:
    """The place that a node loads, if it is one of ours."""
    match node:
        case ast.Name(id=name, ctx=ast.Load()) if isinstance(known.get(name), tuple):
            return known[name]  # type: ignore[return-value]
        case ast.Attribute(value=ast.Name(id=name), attr=attribute) if isinstance(
            known.get(name), str
        ):
            return str(known[name]), attribute
    return None


def bound(statement: ast.stmt) -> set[str]:
    """The names that a statement at module level binds."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import() | ast.ImportFrom():
            return set()
    return {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def in_functions(statement: ast.stmt) -> set[int]:
    """The ids of the nodes that run when a function is called, and not where they stand. With its
    annotations a function that nobody decorates does nothing."""
    found: set[int] = set()
    for function in ast.walk(statement):
        if isinstance(function, ast.Lambda):
            parts: list[ast.AST | None] = [function.body]
        elif isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            parts = [*function.body]
            if not function.decorator_list:
                arguments = [one for one in ast.walk(function.args) if isinstance(one, ast.arg)]
                parts += [function.returns, *(one.annotation for one in arguments)]
        else:
            continue
        found |= {id(node) for part in parts if part for node in ast.walk(part)}
    return found
