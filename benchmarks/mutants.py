"""Mutants of a file: one small mistake each, in one function.

A comparison off by one, a sum for a difference, a step left out.
"""

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
}
SWAPS = {"min": "max", "max": "min"}


class Mutant(NamedTuple):
    """One changed file: the statement before and after, and the changed source.

    `number` tells equal changes of one function apart.
    """

    file: str
    function: str
    line: int
    before: str
    after: str
    number: int
    source: str

    def __str__(self) -> str:
        again = f" ({self.number})" if self.number > 1 else ""
        return f"{self.file}:{self.function}: {self.before} -> {self.after}{again}"


def variants(node: Any) -> Iterator[ast.AST]:
    """Yield what a mistake could put in the place of a node."""

    def other(**fields: Any) -> ast.AST:
        changed: ast.AST = copy.copy(node)
        for name, value in fields.items():
            setattr(changed, name, value)
        return changed

    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                for kind in COMPARISONS.get(type(op), ()):
                    yield other(ops=[*ops[:i], kind(), *ops[i + 1 :]])
        case ast.BoolOp(op=op):
            yield other(op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.BinOp(op=op) if type(op) in ARITHMETIC:
            yield other(op=ARITHMETIC[type(op)]())
        case ast.Constant(value=bool(value)):
            yield other(value=not value)
        case ast.Constant(value=int(value) | float(value)):
            yield other(value=value + 1)
            yield other(value=value - 1)
        case ast.Name(id=name) if name in SWAPS:
            yield other(id=SWAPS[name])
        case ast.If(test=test) | ast.IfExp(test=test):
            if not isinstance(test, ast.Compare) or len(test.ops) > 1:
                yield other(test=ast.UnaryOp(ast.Not(), test))
        case ast.Return(value=value) if value is not None and not isinstance(
            value, ast.Constant | ast.Tuple
        ):
            yield other(value=ast.Constant(0))
        case ast.AugAssign(op=op):
            yield ast.Pass()
            yield other(op=ARITHMETIC[type(op)]())
        case ast.Assign() | ast.Continue() | ast.Expr(value=ast.Call()):
            yield ast.Pass()


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.stmt]]:
    """Yield the place of each node that is executed.

    A place is parent, field, index in the field if it is a list, and the statement around it.
    """

    def below(
        parent: ast.AST, statement: ast.stmt
    ) -> Iterator[tuple[ast.AST, str, int | None, ast.stmt]]:
        for field, value in ast.iter_fields(parent):
            for i, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, ast.AST):
                    within = child if isinstance(child, ast.stmt) else statement
                    yield parent, field, i, within
                    if not isinstance(child, ast.AnnAssign):
                        yield from below(child, within)

    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for i, statement in enumerate(function.body):
                yield function, "body", i, statement
                yield from below(statement, statement)


def first_line(statement: ast.AST) -> str:
    """Return a statement without its body."""
    return ast.unparse(statement).splitlines()[0]


def mutants(file: str, source: str) -> Iterator[Mutant]:
    """Yield every mutant of the functions of a file, in the order of its lines."""
    tree = ast.parse(source)
    owner = {
        id(s): f.name for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for s in ast.walk(f)
    }
    seen: Counter[tuple[str, str, str]] = Counter()
    for parent, field, i, statement in places(tree):
        node = getattr(parent, field) if i is None else getattr(parent, field)[i]
        before, function = first_line(statement), owner[id(parent)]
        for variant in variants(node):
            if i is None:
                setattr(parent, field, variant)
            else:
                getattr(parent, field)[i] = variant
            after = first_line(variant if node is statement else statement)
            seen[function, before, after] += 1
            number = seen[function, before, after]
            yield Mutant(
                file,
                function,
                statement.lineno,
                before,
                after,
                number,
                ast.unparse(ast.fix_missing_locations(tree)),
            )
            if i is None:
                setattr(parent, field, node)
            else:
                getattr(parent, field)[i] = node
