"""Which mutants say nothing about the tests, by rule: a survivor is never excused one by one.

Left out is a change that another tool refuses or that nobody can see. What fails however little is tested (it does
not compile, or a type is computed wrongly while the module is imported) is left out too: it would count as killed.
"""

import ast
import warnings

#: Core compares by identity only what is equal exactly when it is identical: enum members, booleans and None. The other
#: way round, `==` of members, small numbers and words of the source cannot be told from `is` (literals: ruff, F632).
SAME_OPERATOR = frozenset(
    f"core/ReplaceComparisonOperator_{pair}" for pair in ("Eq_Is", "Is_Eq", "NotEq_IsNot", "IsNot_NotEq")
)
#: Enum members have no order but their alphabet, which nobody asks for by mistake; and where it happens to put all
#: others on one side (`status >= REVOKED`), the mutant is the rule itself.
ALPHABET = frozenset(
    f"core/ReplaceComparisonOperator_{asked}_{order}"
    for asked in ("Is", "IsNot")
    for order in ("Lt", "LtE", "Gt", "GtE")
)
#: mypy refuses an assignment to a frozen member, a member that does not exist, and arguments that only a
#: dataclass without them would take. What is left at run time is memory.
DATACLASS_PROMISES = frozenset({"frozen", "slots", "kw_only"})


def why_left_out(operator: str, before: str, after: str) -> str | None:
    """Why the change from `before` to `after` says nothing about the tests; None for a mutant that counts."""
    if operator in SAME_OPERATOR:
        return "identity is equality"
    if operator in ALPHABET:
        return "an alphabet is no rule"
    try:
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            mutated = ast.parse(after)
    except SyntaxError:
        return "does not compile"
    return "only types differ" if _essence(ast.parse(before)) == _essence(mutated) else None


def _essence(tree: ast.Module) -> str:
    return ast.dump(_Essence().visit(tree))


class _Essence(ast.NodeTransformer):
    """Takes away what is there for the type checker: annotations, unions, protocols, `*` and `/`, promises."""

    def visit_Module(self, node: ast.Module) -> ast.Module:
        for statement in node.body:
            if isinstance(statement, ast.Assign) and _is_union_of_types(statement.value):
                statement.value = ast.Constant(None)
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        node.annotation = ast.Constant(None)
        self.generic_visit(node)
        return node

    def visit_arguments(self, node: ast.arguments) -> ast.arguments:
        """Whether an argument goes by name or by position is for mypy, too."""
        node.args = [*node.posonlyargs, *node.args, *node.kwonlyargs]
        node.defaults = [*node.defaults, *filter(None, node.kw_defaults)]
        node.posonlyargs, node.kwonlyargs, node.kw_defaults = [], [], []
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
            node.body = []
        for each in node.decorator_list:
            if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "dataclass":
                each.keywords = [keyword for keyword in each.keywords if keyword.arg not in DATACLASS_PROMISES]
        self.generic_visit(node)
        return node


def _is_union_of_types(value: ast.expr) -> bool:
    """Whether it reads as `A | B` of class names, whatever operator a mutation put between them."""
    if isinstance(value, ast.BinOp):
        return _is_union_of_types(value.left) and _is_union_of_types(value.right)
    return isinstance(value, ast.Name) and value.id[:1].isupper() and not value.id.isupper()
