"""``turbosqs run``: the program runs as Python runs it, patched, and so do its children."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import turbosqs
from support import needs
from support.libraries import KEYS
from turbosqs._platform import PORTABLE

RUN = (sys.executable, "-m", "turbosqs", "run")

#: ``fast()`` makes a client and a call, and says whether it went to the core.
PRELUDE = f"""
import os, sys
KEYS = {KEYS!r}

def fast():
    import boto3
    client = boto3.client("sqs", "us-east-1", endpoint_url=os.environ["URL"], **KEYS)
    import turbosqs
    before = turbosqs.stats()["fast"]
    client.list_queues()
    return turbosqs.stats()["fast"] == before + 1

def say(*words):
    # In one write: the lines of two processes stay apart.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedded: Any) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("URL", embedded.endpoint_url)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return folder


def write(path: Path, text: str) -> Path:
    path.write_text(PRELUDE + dedent(text))
    return path


def done(*command: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=50, check=False, **options)


def printed(*command: Any, **options: Any) -> list[str]:
    result = done(*command, **options)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


FACTS = """
import __main__
say(sys.argv, sys.path, __name__, __main__.__file__, sorted(vars(__main__)), __spec__ and __spec__.name, sys.flags,
    sys.orig_argv[1:], __package__)
"""


@pytest.mark.parametrize(
    "command",
    [
        ("script.py", "a", "--help", "-m"),
        ("./script.py", "--"),
        ("folder/script.py",),
        ("package", "a"),
        ("-m", "package", "-x", "a"),
        ("-m", "package.module", "--help"),
    ],
    ids=" ".join,
)
def test_the_program_sees_what_python_shows_it(command: Sequence[str], here: Path) -> None:
    """Its arguments, its path, its module: all as without us."""
    for name in ("script.py", "folder/script.py", "package/__init__.py", "package/__main__.py", "package/module.py"):
        (here / name).parent.mkdir(exist_ok=True)
        write(here / name, "" if name.endswith("__init__.py") else FACTS)
    expected = printed(sys.executable, *command)
    assert printed(*RUN, *command) == expected
    assert printed(*RUN, "--", *command) == expected


def test_the_options_of_the_interpreter_are_kept(here: Path) -> None:
    write(here / "script.py", "say(sys.flags.optimize, sys.flags.dev_mode, sys.warnoptions, sys.flags.utf8_mode)")
    options = ("-O", "-X", "dev", "-X", "utf8", "-W", "ignore::UserWarning")
    expected = printed(sys.executable, *options, "script.py")
    assert printed(sys.executable, *options, "-m", "turbosqs", "run", "script.py") == expected


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "sys.exit()",
        "sys.exit(3)",
        "sys.exit('a reason')",
        "raise ValueError('x')",
        "import nonsense",
        "1 +",
        "os._exit(7)",
    ],
)
def test_how_it_ends(ending: str, here: Path) -> None:
    """The exit status and the traceback are Python's own."""
    write(here / "script.py", f"def f():\n    {ending or 'pass'}\nf()")
    results = [done(*command, "script.py") for command in ((sys.executable,), RUN)]
    assert [(each.returncode, each.stderr) for each in results] == [(results[0].returncode, results[0].stderr)] * 2


@needs.SIGNALS
def test_signals_are_its_own(here: Path) -> None:
    """The program gets what is sent to the process that was started: there is none of ours between, if that can be."""
    write(here / "script.py", "import signal; say(os.getpid()); signal.pause()")
    process = subprocess.Popen([*RUN, "script.py"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert (int(process.stdout.readline()) == process.pid) is not PORTABLE
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == (128 + signal.SIGTERM if PORTABLE else -signal.SIGTERM)


def test_its_clients_are_on_the_core(here: Path) -> None:
    write(here / "script.py", "say(fast())")
    assert printed(sys.executable, "script.py") == ["False"]
    assert printed(*RUN, "script.py") == ["True"]


def test_boto3_is_loaded_by_the_program_alone(here: Path) -> None:
    (here / "script.py").write_text(
        "import sys; print([name for name in ('botocore', 'turbosqs._core') if name in sys.modules])"
    )
    assert printed(*RUN, "script.py") == ["[]"]


def console_script(here: Path, python: str = sys.executable) -> Path:
    path = here / "bin" / "my-command"
    path.parent.mkdir()
    path.write_text(f"#!{python}\n{PRELUDE}\nsay(sys.argv[0], sys.argv[1:], fast())\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@needs.SCRIPTS
def test_a_console_script(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = console_script(here)
    assert printed(*RUN, path, "-A", "app") == [f"{path} ['-A', 'app'] True"]
    assert printed(*RUN, "bin/my-command") == ["bin/my-command [] True"]
    monkeypatch.setenv("PATH", str(path.parent), prepend=os.pathsep)
    assert printed(*RUN, "my-command", "--help") == [f"{path} ['--help'] True"]
    # One without permission to be executed is a script all the same.
    path.chmod(0o600)
    assert printed(*RUN, path) == [f"{path} [] True"]


def test_commands_of_our_own_environment_are_found_without_it_being_active(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    write(here / "script.py", "say(sys.executable)")
    assert printed(*RUN, "python", "script.py") == [str(Path(sys.executable).parent / "python")]


@needs.SCRIPTS
def test_a_python_that_has_no_turbosqs_says_so(here: Path, tmp_path: Path) -> None:
    """The program runs all the same."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    path = here / "script"
    again = "if len(sys.argv) < 2:\n    subprocess.run([sys.argv[0], 'child'], check=True)\n"
    path.write_text(f"#!{bare}/bin/python\nimport subprocess, sys\nprint(sys.argv, flush=True)\n{again}")
    path.chmod(0o700)
    result = done(*RUN, path)
    assert result.stdout.splitlines() == [f"['{path}']", f"['{path}', 'child']"]
    assert result.stderr == f"turbosqs run: not patched, {bare}/bin/python has no turbosqs\n"


CHILDREN = {
    "fork": "import multiprocessing as m; m.set_start_method('fork'); p = m.Process(target=child)",
    "spawn": "import multiprocessing as m; m.set_start_method('spawn'); p = m.Process(target=child)",
    "forkserver": "import multiprocessing as m; m.set_start_method('forkserver'); p = m.Process(target=child)",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", CHILDREN)
def test_children(method: str, here: Path) -> None:
    """They are patched as well; the parent has a client in use, whose connections and threads no child touches."""
    write(
        here / "script.py",
        f"""
        def child():
            say("child", fast())

        if __name__ == "__main__":
            import warnings
            warnings.simplefilter("ignore", DeprecationWarning)
            say("parent", fast())
            {CHILDREN[method]}
            p.start()
            p.join()
            say(p.exitcode, fast())
        """,
    )
    assert printed(*RUN, "script.py") == ["parent True", "child True", "0 True"]


def test_children_of_subprocess(here: Path) -> None:
    """By any of the ways to start Python; one that was asked to be isolated is."""
    write(
        here / "script.py",
        """
        import subprocess
        if len(sys.argv) > 1:
            say(sys.argv[1], fast())
        else:
            subprocess.run([sys.executable, __file__, "child"], check=True)
            subprocess.run(f"{sys.executable} {__file__} shell", shell=True, check=True)
            subprocess.run([sys.executable, "-I", __file__, "isolated"], check=True)
        """,
    )
    assert printed(*RUN, "script.py") == ["child True", "shell True", "isolated False"]


@needs.FORK
def test_a_forked_child_of_a_client_in_use(here: Path) -> None:
    """The patch by itself: parent and child use the same client at the same time, and each counts its own calls."""
    write(
        here / "script.py",
        """
        import boto3, turbosqs, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        turbosqs.patch()
        client = boto3.client("sqs", "us-east-1", endpoint_url=os.environ["URL"], **KEYS)
        url = client.create_queue(QueueName=f"fork-{os.getpid()}")["QueueUrl"]
        children = []
        for number in range(3):
            pid = os.fork()
            if pid == 0:
                sent = {client.send_message(QueueUrl=url, MessageBody=f"{number}-{i}")["MessageId"] for i in range(50)}
                good = (len(sent), turbosqs.stats(client)["fast"], turbosqs.stats()) == (50, 50, {"fast": 50})
                os._exit(0 if good else 1)
            children.append(pid)
        for i in range(50):
            client.send_message(QueueUrl=url, MessageBody=f"parent-{i}")
        say([os.waitpid(pid, 0)[1] for pid in children], turbosqs.stats(client)["fast"], turbosqs.stats())
        bodies = set()
        while found := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            bodies |= {message["Body"] for message in found}
        say(len(bodies))
        """,
    )
    assert printed(sys.executable, "script.py") == ["[0, 0, 0] 51 {'fast': 51}", "200"]


def test_another_sitecustomize_has_its_turn(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = here / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("print(f'other {__name__} {__file__}', flush=True)\n")
    write(here / "script.py", "import sitecustomize; say(sitecustomize.__file__, fast())")
    monkeypatch.setenv("PYTHONPATH", str(other))
    file = other / "sitecustomize.py"
    # The process that reads the command line has its turn of it first.
    assert printed(*RUN, "script.py")[1:] == [f"other sitecustomize {file}", f"{file} True"]
    file.write_text("1 / 0")
    result = done(*RUN, "script.py")
    assert (result.returncode, result.stdout) == (0, f"{file} True\n") or "ZeroDivisionError" in result.stderr


def test_our_folder_is_not_on_the_path_of_the_program(here: Path) -> None:
    write(here / "script.py", "say([place for place in sys.path if 'start-up' in place])")
    assert printed(*RUN, "script.py") == ["[]"]


def test_one_run_within_another(here: Path) -> None:
    write(here / "script.py", "say(fast(), os.environ['PYTHONPATH'].count('start-up'))")
    assert printed(*RUN, *RUN, "script.py") == ["True 1"]


@needs.SCRIPTS
@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "usage: turbosqs run"),
        (("--",), 2, "usage: turbosqs run"),
        (("-m",), 2, "usage: turbosqs run"),
        (("--nonsense", "script.py"), 2, "usage: turbosqs run"),
        (("no-such-command",), 127, "turbosqs run: there is neither a script nor a command 'no-such-command'"),
        (("no-such-script.py",), 2, "can't open file"),
        (("-m", "no_such_module"), 1, "No module named no_such_module"),
        (("./broken",), 126, "turbosqs run: ./broken: "),
    ],
    ids=repr,
)
def test_mistakes(arguments: Sequence[str], status: int, said: str, here: Path) -> None:
    (here / "broken").write_text("#!/no/such/interpreter\n")
    (here / "broken").chmod(0o700)
    result = done(*RUN, *arguments)
    assert (result.returncode, result.stdout) == (status, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_help() -> None:
    assert printed(*RUN, "--help")[0].startswith("usage: turbosqs run")
    assert any(line.split()[:1] == ["run"] for line in printed(sys.executable, "-m", "turbosqs", "--help"))


@pytest.mark.parametrize("option", ["-I", "-E", "-S"])
def test_options_that_turn_it_off(option: str, here: Path) -> None:
    write(here / "script.py", "say(fast())")
    # -S leaves site-packages out, so it has to be told where turbosqs is.
    code = "import sys; sys.path.append(sys.argv.pop(1)); from turbosqs.__main__ import main; sys.exit(main())"
    place = Path(str(turbosqs.__file__)).parent.parent
    result = done(sys.executable, option, "-c", code, place, "run", "script.py")
    assert (result.returncode, result.stdout) == (2, "")
    assert "-I, -E and -S" in result.stderr


def test_an_empty_place_in_pythonpath_is_the_current_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command's own folder is on its path, and the current one only by PYTHONPATH."""
    (here / "beside.py").write_text("NAME = 'found'")
    (here / "scripts").mkdir()
    write(here / "scripts" / "script.py", "import beside\nsay(beside.NAME, fast())")
    monkeypatch.setenv("PYTHONPATH", os.pathsep + str(here / "other"))
    assert printed(*RUN, "scripts/script.py") == ["found True"]


def test_a_folder_does_not_hide_a_command(here: Path) -> None:
    (here / "pytest").mkdir()
    assert done(*RUN, "pytest", "--version").returncode == 0
