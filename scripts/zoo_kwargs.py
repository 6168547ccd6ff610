"""Which keywords a class really accepts, where `inspect.signature` stops at `**kwargs`.

Many of MMAction2's classes pass `**kwargs` on to their parent; `VideoDataset` names nine keywords and accepts seven
more that way. To tell a misspelt key from a legitimate one, the keywords have to be followed to where they arrive. The
source of each `__init__` says where: `super().__init__(..., **kwargs)` leads to the next class of the method resolution
order, less what the call already fills in; `kwargs.pop("x")` accepts `x`; anything else is the class's own business and
leaves it open.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

# Where `**kwargs` go somewhere other than the parent, and which names arrive there: read in MMAction2 1.2.0 and
# MMEngine 0.10.7. Residual stages get every keyword of their blocks by name already, so that one more is a TypeError.
ELSEWHERE: dict[str, frozenset[str]] = {
    "Module": frozenset(),
    "ResNet3d": frozenset(),
    "ResNet3dLayer": frozenset(),
    "ResNet3dPathway": frozenset(),
    "X3D": frozenset(),
    "_NonLocalNd": frozenset({"std", "zeros_init"}),
    "CheckpointHook": frozenset(),
    "EMAHook": frozenset({"momentum", "gamma", "interval", "device", "update_buffers"}),
    "VisualizationHook": frozenset(
        {"draw_gt", "draw_pred", "draw_score", "rescale_factor", "show_frames", "text_cfg", "wait_time"}
        | {"out_type", "target_resolution", "fps"}
    ),
}


@dataclass(frozen=True)
class Accepted:
    """Keywords with their defaults, and whether others are taken that no source names."""

    defaults: dict[str, object]
    open: bool


@dataclass
class KwargsUse:
    """What one `__init__` does with its `**kwargs`."""

    parent_calls: list[ast.Call] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    elsewhere: bool = False


def accepted_by_class(cls: type) -> Accepted:
    return _accepted(cls.__mro__, positional=0)


def accepted_by_function(function: Callable[..., Any], *filled_in: str) -> Accepted:
    parameters = inspect.signature(function).parameters.values()
    named = {p.name: p.default for p in parameters if p.kind in BY_KEYWORD and p.name not in filled_in}
    return Accepted(named, open=any(p.kind is p.VAR_KEYWORD for p in parameters))


def _accepted(mro: tuple[type, ...], positional: int) -> Accepted:
    """`positional` arguments come from the subclass, so that their parameters are taken already."""
    owner = next((cls for cls in mro if "__init__" in vars(cls)), object)
    if owner is object:
        return Accepted({}, open=False)
    init = inspect.unwrap(vars(owner)["__init__"])
    parameters = list(inspect.signature(init).parameters.values())[1:]
    in_order = [p for p in parameters if p.kind in POSITIONAL]
    taken = {p.name for p in in_order[:positional]}
    own = {p.name: p.default for p in parameters if p.kind in BY_KEYWORD and p.name not in taken}
    catch_all = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)
    if catch_all is None:
        return Accepted(own, open=False)
    use = _use_of(init, catch_all)
    names = set(use.names)
    if use.elsewhere:
        names |= ELSEWHERE.get(owner.__name__, frozenset())
    inherited: dict[str, object] = dict.fromkeys(sorted(names), inspect.Parameter.empty)
    is_open = use.elsewhere and owner.__name__ not in ELSEWHERE
    for call in use.parent_calls:
        overflow = max(0, positional - len(in_order))
        parent = _accepted(_parents(mro, owner, call), _filled_in_order(call, overflow))
        filled = {keyword.arg for keyword in call.keywords}
        inherited |= {name: default for name, default in parent.defaults.items() if name not in filled}
        is_open = is_open or parent.open
    return Accepted({**inherited, **own}, is_open)


def _use_of(init: Callable[..., Any], catch_all: str) -> KwargsUse:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
    except (OSError, TypeError):
        return KwargsUse(elsewhere=True)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    use = KwargsUse()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == catch_all:
            _note(use, node, parents)
    return use


def _note(use: KwargsUse, name: ast.Name, parents: dict[ast.AST, ast.AST]) -> None:
    match parents[name]:
        case ast.keyword(arg=None) as keyword:
            call = parents[keyword]
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "__init__":
                use.parent_calls.append(call)
                return
        case ast.Attribute(attr="pop" | "get") as method:
            match parents[method]:
                case ast.Call(args=[ast.Constant(value=str(key)), *_]):
                    use.names.add(key)
                    return
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            use.names.add(key)
            return
        case ast.Compare(left=ast.Constant(value=str(key)), ops=[ast.In()]):
            use.names.add(key)
            return
    use.elsewhere = True


def _parents(mro: tuple[type, ...], owner: type, call: ast.Call) -> tuple[type, ...]:
    """The classes that the call leads to: those after `owner` for `super()`, else those from the class it names."""
    match call.func:
        case ast.Attribute(value=ast.Name(id=named)):
            start = next(i for i, cls in enumerate(mro) if cls.__name__ == named)
        case _:
            start = mro.index(owner) + 1
    return mro[start:]


def _filled_in_order(call: ast.Call, overflow: int) -> int:
    starred = any(isinstance(argument, ast.Starred) for argument in call.args)
    named = [argument for argument in call.args if not isinstance(argument, ast.Starred)]
    by_class_name = isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
    return len(named) - by_class_name + (overflow if starred else 0)
