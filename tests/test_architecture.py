"""How the program is laid out: what may import what, how large a module may be, and what a start-up may cost."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for path in (ROOT / "mcpweb").rglob("*.py") if "_shipped" not in path.parts)
PLUGINS = sorted(path for path in (ROOT / "plugins").rglob("*.py") if not path.name.startswith(("test_", "conftest")))

LAYERS = [
    {"errors", "clock", "jsonrpc", "shipped", "lifeline", "embedded_redis", "hosts", "setting_kinds", "core_dumps"},
    {"settings", "reachable", "web_worker", "shortage"},
    {"config"},
    {"crypto", "database", "extensions", "queue", "mailer", "migrating", "setting_names"},
    {"policies", "closure", "revision"},
    {"logs", "supervisor"},
    {"web"},
    {"catalog"},
    {"plugin_api", "accounts"},
    {"instances"},
    {"gateway"},
    {"monitoring"},
    {"alerts"},
    {"jobs"},
    {"admin"},
    {"application"},
    {"backup"},
    {"backup_commands", "log_commands", "leaving", "doctor", "upkeep_commands", "stop_commands", "tracing", "nginx"},
    {"wsgi", "cli", "memory"},
    {"__main__"},
]
"""Each may import from what stands above it, and nothing beside it."""

FLASK = {
    "flask", "flask_login", "flask_limiter", "flask_mail", "flask_sqlalchemy", "flask_wtf", "werkzeug", "wtforms",
}  # fmt: skip
EDGE = {
    "routes.py", "metrics_routes.py", "tracing.py", "guard.py", "forms.py",
    "mailer.py", "cli.py", "application.py", "extensions.py", "instances/house.py", "life_routes.py", "life_forms.py",
    "log_routes.py", "log_commands.py", "upkeep_commands.py", "people_routes.py", "maintenance_routes.py",
    "maintenance_forms.py", "policy_routes.py", "policy_forms.py",
    "maintenance_mode_routes.py", "maintenance_mode_forms.py",
    "log_export_routes.py", "people_forms.py", "instance_routes.py", "service_routes.py",
    "log_search_routes.py",
    "alert_routes.py", "alert_forms.py",
    "stop_routes.py", "stop_forms.py",
    "stop_commands.py",
    "backup_commands.py",
}  # fmt: skip
ALLOWED = {
    "database.py": {"flask_sqlalchemy"},
    "accounts/models.py": {"flask_login"},
    "jobs/worker.py": {"flask"},
    "jobs/indexing.py": {"flask"},
    "jobs/alerting.py": {"flask"},
    "monitoring/presence.py": {"flask"},
    "backup/restoring.py": {"flask"},
}
"""What single modules that are not the edge may use besides: a mixin, the session's extension, a type."""


def name(path: Path) -> str:
    """`accounts/links.py`."""
    return path.relative_to(ROOT / "mcpweb").as_posix()


def part(module: str) -> str:
    """The entry of LAYERS that `mcpweb.accounts.links` belongs to; empty for the package itself."""
    return [*module.split("."), ""][1]


def imported(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Every module that is imported anywhere in a file, relative ones resolved, with the statement."""
    package = path.relative_to(ROOT).parent.as_posix().replace("/", ".")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{base}.{alias.name}", node


def test_imports_point_down():
    wrong = []
    for path in MODULES:
        mine = part(f"mcpweb.{name(path).removesuffix('.py').replace('/', '.')}")
        if mine == "__init__":
            continue
        level = next((number for number, layer in enumerate(LAYERS) if mine in layer), None)
        assert level is not None, f"{mine} has no layer in this test"
        fine = set().union(*LAYERS[:level]) | {mine, "", "__version__"}
        ours = [module for module, _ in imported(path) if module.split(".")[0] == "mcpweb"]
        wrong += [f"{name(path)} imports {module}" for module in ours if part(module) not in fine]
    assert wrong == []


def test_only_the_edge_knows_flask():
    wrong = []
    for path in MODULES:
        here = name(path)
        if path.name not in EDGE and here not in EDGE and not here.startswith("web/"):
            used = {module.split(".")[0] for module, _ in imported(path)} & FLASK
            wrong += [f"{here} imports {module}" for module in used - ALLOWED.get(here, set())]
    assert wrong == []


def test_the_exceptions_are_in_use():
    for here, modules in ALLOWED.items():
        used = {module.split(".")[0] for module, _ in imported(ROOT / "mcpweb" / here)}
        assert modules <= used, f"{here} no longer needs {modules}"
    for here in EDGE:
        assert list((ROOT / "mcpweb").rglob(here)), f"there is no {here}"


def test_the_catalogue_asks_no_database_and_knows_no_user():
    for path in (ROOT / "mcpweb" / "catalog").glob("*.py"):
        for module, _ in imported(path):
            assert module.split(".")[0] not in ("sqlalchemy", "flask", "redis", "rq"), f"{path.name} imports {module}"
            assert part(module) in ("catalog", "clock", "errors", "shortage") or not module.startswith("mcpweb"), (
                path.name
            )


def test_a_plugin_imports_the_plugin_api_the_standard_library_and_itself():
    wrong = []
    for path in PLUGINS:
        plugin = path.relative_to(ROOT).parts[1]
        fine = ("mcpweb.plugin_api.", f"plugins.{plugin}.", f"mcpweb_plugins.{plugin}.")
        for module, _ in imported(path):
            if not module.startswith(fine) and module.split(".")[0] not in sys.stdlib_module_names:
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert wrong == []


def test_modules_and_functions_can_be_read_in_one_go():
    long = []
    for path in [*MODULES, *PLUGINS]:
        text = path.read_text(encoding="utf-8")
        if (size := len(text.splitlines())) > 400:
            long.append(f"{path.relative_to(ROOT)} has {size} lines")
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
        long += [
            f"{path.relative_to(ROOT)}: {one.name}" for one in functions if lines_of(one) > 40 and not is_table(one)
        ]
    assert long == []


def lines_of(function: ast.FunctionDef) -> int:
    """Lines of the body without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def is_table(function: ast.FunctionDef) -> bool:
    """Whether it does next to nothing, and is long because of what it holds."""
    return sum(isinstance(node, ast.stmt) for node in ast.walk(function)) <= 10


def test_nothing_is_called_by_a_name_that_says_nothing():
    empty = {"utils", "helpers", "manager", "services", "common", "misc"}
    assert [name(path) for path in MODULES if empty & {path.stem, path.parent.name}] == []


def test_every_public_function_and_class_says_what_it_is():
    silent = []
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                silent += [] if ast.get_docstring(node) else [f"{name(path)}: {node.name}"]
    assert silent == []


def test_importing_the_application_brings_no_other_server_along():
    script = "import sys, mcpweb.application; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    loaded = {module.split(".")[0] for module in said.split()}
    unwanted = {"starlette", "uvicorn", "httpx", "httpx2", "anyio", "sniffio", "mcp", "pydantic", "alembic", "tests"}
    assert loaded & unwanted == set()


def test_the_command_line_starts_without_the_application():
    script = "import sys, mcpweb.cli; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert {module.split(".")[0] for module in said.split()} & {"flask", "sqlalchemy", "rq", "redis"} == set()


TEXTS = (".py", ".md", ".html", ".txt", ".toml", ".cfg", ".css", ".js", ".mako", ".sh", "")


def texts() -> Iterator[Path]:
    """Every text file of the project."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [
            one
            for one in folders
            if one == ".ci" or (one not in ("instance", "build", "__pycache__") and one[0] != ".")
        ]
        yield from (Path(folder, file) for file in files if Path(file).suffix in TEXTS)


def test_no_file_points_at_a_document_that_the_project_does_not_have():
    named = re.compile(r"\b([A-Z]{2,}(?:[_-][A-Z]+)*\.md)\b")
    for path in texts():
        if path == Path(__file__):
            continue
        for document in named.findall(path.read_text(encoding="utf-8", errors="replace")):
            assert list(ROOT.glob(document)) or (path.parent / document).exists(), f"{path}: {document}"


def test_links_inside_the_readme_lead_somewhere():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    headings = {re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in readme.splitlines()}
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", readme):
        place, _, anchor = target.partition("#")
        assert not place or (ROOT / place).exists(), target
        assert place or anchor in headings, target
