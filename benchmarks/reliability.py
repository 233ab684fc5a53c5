"""Mutated files, and kills in the middle of saves and fits; prints counts.

    python benchmarks/reliability.py files --number 100000
    python benchmarks/reliability.py saves --number 50
    python benchmarks/reliability.py fits --number 50
    python benchmarks/reliability.py sizes

``files`` mutates files of skvar and loads them: damaged ones as accidents leave them,
and forged ones whose checksums are right. It counts what was refused, what was loaded
as it was saved, and forged ones that were loaded as what they say, and fails on any
other exception than ValueError, on code that was run, on a load of more than a second,
and on memory of more than 200 MB. ``saves`` kills processes that save over a file,
``fits`` processes that fit with a checkpoint. ``sizes`` compares files with their
arrays and with joblib's.
"""

import argparse
import collections
import hashlib
import io
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import joblib
import numpy as np
import safetensors.numpy
from memory import peak_bytes

import skvar
from skvar._files.estimators import KINDS

LONGEST, MOST_MEMORY = 1.0, 200 * 2**20
# Events of the interpreter that loading a file must not cause.
FORBIDDEN = {
    "compile",
    "exec",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.remove",
    "os.system",
    "pickle.find_class",
    "shutil.rmtree",
    "socket.connect",
    "subprocess.Popen",
}


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __reduce__(self):
        return exec, ("import sys; sys.exploded = True",)


def seeds() -> list[bytes]:
    """Files of several estimators, small ones."""
    rows = np.random.default_rng(0).normal(size=(60, 2)).cumsum(axis=0)
    table = skvar.datasets.make_var(60, n_series=2, random_state=0).series
    small = {"lags": 4, "d_model": 8, "n_heads": 2, "max_epochs": 1, "random_state": 0}
    closed = skvar.LinearAttentionVAR(2, n_layers=0).fit(table)
    estimators = [
        closed,
        closed.var_coefficients(),
        closed.stream(),
        skvar.SAMoVARForecaster(**small).fit(rows),
        skvar.AarenForecaster(**small, n_layers=1).fit(rows),
        skvar.SAMoVARRegressor(**small).fit(rows),
        skvar.LinearAttentionVAR(),
    ]
    return [saved(estimator) for estimator in estimators]


def saved(estimator) -> bytes:
    """An estimator as the bytes of its file."""
    file = io.BytesIO()
    skvar.save(estimator, file)
    return file.getvalue()


def members(data: bytes) -> dict[str, bytes]:
    """Of an archive, by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def forged(parts: dict[str, bytes], compression=zipfile.ZIP_STORED) -> bytes:
    """An archive of some members with right checksums."""
    parts = {name: data for name, data in parts.items() if name != "SHA256SUMS"}
    sums = [f"{hashlib.sha256(x).hexdigest()}  {name}\n" for name, x in parts.items()]
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", compression) as archive:
        warnings.simplefilter("ignore")
        for name, data in {**parts, "SHA256SUMS": "".join(sums).encode()}.items():
            archive.writestr(name, data)
    return file.getvalue()


# accidents


def bit_flips(data: bytes, rng: random.Random, others) -> bytes:
    found = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def truncation(data: bytes, rng: random.Random, others) -> bytes:
    return data[: rng.randrange(len(data))]


def lost_block(data: bytes, rng: random.Random, others) -> bytes:
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.choice([1, 16, 512, 4096]))
    return data[:start] + rng.choice([b"", bytes(end - start)]) + data[end:]


def spliced(data: bytes, rng: random.Random, others) -> bytes:
    other = rng.choice(others)
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def not_a_file(data: bytes, rng: random.Random, others) -> bytes:
    return rng.choice(
        [b"", rng.randbytes(rng.randrange(2000)), pickle.dumps(Bomb()), b"PK\x05\x06"]
    )


# forgeries


def swapped_members(data: bytes, rng: random.Random, others) -> bytes:
    parts, of_other = members(data), members(rng.choice(others))
    name = rng.choice(list(parts))
    parts[name] = rng.choice(list(of_other.values()))
    return forged(parts)


def strange_names(data: bytes, rng: random.Random, others) -> bytes:
    parts = members(data)
    names = ["../../evil", "/etc/evil", "C:\\evil", "a" * 5000, "_obj", "evil.py", "/"]
    parts[rng.choice(names)] = rng.randbytes(10)
    return forged(parts)


def pickle_inside(data: bytes, rng: random.Random, others) -> bytes:
    parts, bomb = members(data), pickle.dumps(Bomb())
    parts[rng.choice([*parts, "_metadata", "_obj", "model.pkl"])] = bomb
    return forged(parts)


def zip_bomb(data: bytes, rng: random.Random, others) -> bytes:
    parts = members(data)
    if rng.random() < 0.5:
        parts[rng.choice(list(parts))] = bytes(rng.choice([10**5, 10**7]))
        return forged(parts, zipfile.ZIP_DEFLATED)
    return forged({**parts, **{f"m{i}": b"" for i in range(rng.randrange(3, 3000))}})


def huge_sizes(data: bytes, rng: random.Random, others) -> bytes:
    """Sizes in the headers of the archive and of its arrays."""
    if rng.random() < 0.5:
        found = bytearray(data)
        marks = [i for i in range(len(found) - 4) if found[i : i + 2] == b"PK"]
        start = rng.choice(marks) + rng.randrange(4, 46)
        found[start : start + 4] = b"\xff\xff\xff" + rng.choice([b"\x7f", b"\xff"])
        return bytes(found[: len(data)])
    parts = members(data)
    arrays = parts["arrays.safetensors"]
    n = int.from_bytes(arrays[:8], "little")
    header = json.loads(arrays[8 : 8 + n])
    if header and rng.random() < 0.7:
        entry = header[rng.choice(list(header))]
        key = rng.choice(["shape", "data_offsets", "dtype"])
        sizes = [[2**40], [2**31, 2**31], [0, 2**62], [], "F64", -1]
        entry[key] = rng.choice(sizes)
        text = json.dumps(header).encode()
        arrays = len(text).to_bytes(8, "little") + text + arrays[8 + n :]
    else:
        arrays = rng.choice([2**63, 2**40, n + 1, 0]).to_bytes(8, "little") + arrays[8:]
    return forged({**parts, "arrays.safetensors": arrays})


def strange_json(data: bytes, rng: random.Random, others) -> bytes:
    depth, width = rng.choice([10, 10**3, 10**5]), rng.choice([10, 10**4, 10**6])
    text = rng.choice(
        [
            "[" * depth + "]" * depth,
            '{"a":' * depth + "1" + "}" * depth,
            "[" + "[]," * width + "1]",
            '{"format":1,"nodes":[' + '["list",[]],' * width + '["list",[0]]]}',
            '{"format":' + "9" * width + "}",
            '{"format":NaN}',
            '{"format":1e999,"versions":{}}',
            '{"format":2,"versions":{}}',
            '"' + "\\u0000" * width + '"',
            "",
        ]
    )
    return forged({**members(data), "document.json": text.encode()})


VALUES = [
    None,
    True,
    0,
    -1,
    10**6,
    10**9,
    10**18,
    10**300,
    1e-300,
    1e308,
    -0.5,
    "",
    "auto",
    "os.system",
    "../../etc/passwd",
    "x" * 10**5,
    [],
    [0],
    [1],
    [-1],
    [10**9],
    [[]],
    {},
]


def changed_values(data: bytes, rng: random.Random, others) -> bytes:
    """Values of nodes replaced, nodes left out, doubled or of other kinds."""
    parts = members(data)
    document = json.loads(parts["document.json"])
    nodes = document["nodes"]
    for place in rng.sample(range(len(nodes)), rng.choice([1, 1, 1, 2, 5])):
        if place >= len(nodes) or not isinstance(nodes[place], list):
            continue
        kind, content = [*nodes[place], None, None][:2]
        change = rng.random()
        if change < 0.1:
            nodes[place] = [rng.choice([*KINDS]), content]
        elif change < 0.15:
            del nodes[place]
        elif change < 0.2:
            nodes.insert(place, rng.choice(nodes))
        elif change < 0.25:
            nodes[place] = rng.choice(VALUES)
        elif isinstance(content, dict) and content:
            value = rng.choice([*VALUES, [rng.randrange(len(nodes))]])
            content[rng.choice([*content, "strange"])] = value
        elif isinstance(content, list) and content:
            item = rng.choice([*VALUES, [rng.randrange(len(nodes))]])
            part = rng.randrange(len(content))
            pair = content[part]
            if kind == "dict" and isinstance(pair, list) and pair:
                pair[rng.randrange(len(pair))] = item
            else:
                content[part] = item
        else:
            nodes[place] = [kind, rng.choice(VALUES)]
    return forged({**parts, "document.json": json.dumps(document).encode()})


def shared_nests(data: bytes, rng: random.Random, others) -> bytes:
    """Lists of lists that a few nodes stand for, as many as there are atoms."""
    kind = rng.choice(["list", "tuple", "set", "frozenset"])
    nodes = [[kind, [1, 2]], *([kind, [[i], [i]]] for i in range(rng.randrange(2, 80)))]
    nodes.append(["dict", [[[len(nodes) - 1], 1]]])
    document = {"format": 1, "versions": {}, "class": "Stream", "nodes": nodes}
    parts = {**members(data), "document.json": json.dumps(document).encode()}
    return forged(parts)


def other_numbers(data: bytes, rng: random.Random, others) -> bytes:
    """Other bytes in arrays."""
    parts = members(data)
    arrays = bytearray(parts["arrays.safetensors"])
    n = 8 + int.from_bytes(arrays[:8], "little")
    for _ in range(20):
        if n + 8 < len(arrays):
            start = rng.randrange(n, len(arrays) - 8)
            arrays[start : start + 8] = rng.choice(
                [b"\xff" * 8, bytes(8), rng.randbytes(8), b"\0" * 6 + b"\xf0\x7f"]
            )
    return forged({**parts, "arrays.safetensors": bytes(arrays)})


ACCIDENTS = [bit_flips, truncation, lost_block, spliced, not_a_file]
FORGERIES = [
    swapped_members,
    strange_names,
    pickle_inside,
    zip_bomb,
    huge_sizes,
    strange_json,
    changed_values,
    shared_nests,
    other_numbers,
]


def mutated_files(number: int, seconds: float, seed: int) -> bool:
    """Load so many mutated files, or as many as time allows; print counts."""
    originals, rng = seeds(), random.Random(seed)
    # Modules that are imported at first use are no code of files.
    for name in KINDS:
        KINDS.type_of(name)
    counts, faults, ran = collections.Counter(), [], []
    longest, most = 0.0, 0

    def watch(event, arguments):
        if watching and event in FORBIDDEN and not imports(event, arguments):
            ran.append(event)

    watching = False
    sys.addaudithook(watch)
    begin = time.monotonic()
    for i in range(number):
        if time.monotonic() - begin > seconds:
            print(f"time is over after {i} files")
            break
        mutate = rng.choice(ACCIDENTS + 2 * FORGERIES)
        original = rng.choice(originals)
        data = mutate(original, rng, originals)
        before, start = peak_bytes(), time.perf_counter()
        watching = True
        try:
            found = skvar.load(io.BytesIO(data))
        except ValueError:
            outcome = "refused"
        except BaseException as error:
            outcome = "another error"
            faults.append(f"{mutate.__name__}: {error!r}")
        else:
            outcome = "loaded as it was saved"
            if data != original and saved_or_none(found) != original:
                outcome = "loaded as what it says"
        watching = False
        took, more = time.perf_counter() - start, peak_bytes() - before - len(data)
        longest, most = max(longest, took), max(most, more)
        if took > LONGEST:
            faults.append(f"{mutate.__name__}: {took:.1f} s")
        if more > MOST_MEMORY:
            faults.append(f"{mutate.__name__}: {more / 2**20:.0f} MB")
        if outcome == "loaded as what it says" and mutate in ACCIDENTS:
            faults.append(f"{mutate.__name__}: an accident was not noticed")
        counts[mutate.__name__, outcome] += 1
    for (name, outcome), count in sorted(counts.items()):
        print(f"{name:16}  {outcome:24}  {count:7}")
    exploded = hasattr(sys, "exploded") or bool(ran)
    print(
        f"{sum(counts.values())} files in {time.monotonic() - begin:.0f} s: "
        f"{len(faults)} faults, code was run {len(ran)} times, longest load "
        f"{longest:.2f} s, most memory beyond the file {most / 2**20:.0f} MB"
    )
    print("\n".join([*faults[:20], *sorted(set(ran))]))
    return not faults and not exploded


def imports(event: str, arguments: tuple) -> bool:
    """Whether an event is a module of a library that is imported at first use."""
    name = getattr(arguments[0], "co_filename", "") if event == "exec" else ""
    return os.path.isfile(name)


def saved_or_none(estimator) -> bytes | None:
    """An estimator as the bytes of its file, where it can be saved."""
    try:
        return saved(estimator)
    except Exception:
        return None


SAVING = """
import sys, skvar
one, other = skvar.load(sys.argv[1]), skvar.load(sys.argv[2])
print("ready", flush=True)
while True:
    skvar.save(one, sys.argv[3])
    skvar.save(other, sys.argv[3])
"""


def killed_saves(number: int, seed: int) -> bool:
    """Kill processes that save over a file at random moments."""
    rng, failures = random.Random(seed), 0
    rows = np.random.default_rng(0).normal(size=(20_000, 10)).cumsum(axis=0)
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder, name)) for name in ("one", "other", "live")]
        for alpha, path in zip((0.1, 1.0), paths[:2], strict=True):
            estimator = skvar.LinearAttentionVAR(2, n_layers=0, alpha=alpha)
            skvar.save(estimator.fit(rows), path)
        known = {Path(path).read_bytes() for path in paths[:2]}
        Path(paths[2]).write_bytes(Path(paths[0]).read_bytes())
        for _ in range(number):
            process = start(SAVING, *paths)
            kill_after(process, rng.uniform(0, 0.5))
            skvar.load(paths[2])
            failures += Path(paths[2]).read_bytes() not in known
    print(f"{number} saves killed: {failures} files neither old nor new")
    return not failures


FITTING = """
import sys, warnings, numpy as np, skvar
warnings.simplefilter("ignore")
rows = np.random.default_rng(0).normal(size=(600, 3)).cumsum(axis=0)
print("ready", flush=True)
forecaster = skvar.SAMoVARForecaster(
    24, horizon=4, max_epochs=12, n_iter_no_change=12, random_state=0,
    checkpoint=sys.argv[2] or None,
)
skvar.save(forecaster.fit(rows), sys.argv[1])
"""


def killed_fits(number: int, seed: int) -> bool:
    """Kill fits at random moments, and let them go on until they end."""
    rng, failures, kills = random.Random(seed), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        whole = str(Path(folder, "whole"))
        process = start(FITTING, whole, "")
        begin = time.perf_counter()
        process.wait()
        length = time.perf_counter() - begin
        for i in range(number):
            path, checkpoint = (str(Path(folder, f"{x}{i}")) for x in "mc")
            # Each beginning is killed once at least, at any moment of the whole.
            process = start(FITTING, path, checkpoint)
            kill_after(process, rng.uniform(0, length))
            kills += 1
            start(FITTING, path, checkpoint).wait()
            one, other = skvar.load(path), skvar.load(whole)
            same = np.array_equal(one.predict(range(1, 9)), other.predict(range(1, 9)))
            failures += not same or one.loss_curve_ != other.loss_curve_
    print(f"{kills} fits killed: {failures} results differ from an unbroken fit")
    return not failures


def sizes() -> bool:
    """Print sizes of files and how long they take to load, against joblib's."""
    rows = skvar.datasets.make_var(2000, n_series=7, random_state=0).series
    print(
        f"{'':30} {'bytes':>9} {'without':>9} {'over':>6} {'to joblib':>10} "
        f"{'load':>6}\n{'':30} {'':>9} {'history':>9} {'arrays':>6} {'bytes':>10} "
        f"{'time':>6}"
    )
    for name, estimator in {
        "LinearAttentionVAR, n_layers=0": skvar.LinearAttentionVAR(n_layers=0),
        "LinearAttentionVAR": skvar.LinearAttentionVAR(random_state=0),
        "SAMoVARForecaster, 96 lags": skvar.SAMoVARForecaster(
            96, horizon=24, max_epochs=2, random_state=0
        ),
        "AarenForecaster, 96 lags": skvar.AarenForecaster(
            96, horizon=24, max_epochs=2, random_state=0
        ),
    }.items():
        estimator.fit(rows)
        whole, pickled = saved(estimator), io.BytesIO()
        joblib.dump(estimator, pickled)
        file = io.BytesIO()
        skvar.save(estimator, file, history=False)
        arrays = safetensors.numpy.load(members(file.getvalue())["arrays.safetensors"])
        n_bytes = sum(array.nbytes for array in arrays.values())
        times = [
            median_time(lambda: skvar.load(io.BytesIO(whole))),  # noqa: B023
            median_time(lambda: joblib.load(io.BytesIO(pickled.getvalue()))),  # noqa: B023
        ]
        print(
            f"{name:30} {len(whole):9} {len(file.getvalue()):9} "
            f"{len(file.getvalue()) / n_bytes:6.2f} "
            f"{len(whole) / len(pickled.getvalue()):10.2f} {times[0] / times[1]:6.2f}"
        )
        print(f"{'':30} {1000 * times[0]:.1f} ms to load")
    return True


def median_time(function) -> float:
    """Seconds that a call takes, the median of many."""
    times = []
    for _ in range(25):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


def start(program: str, *arguments: str) -> subprocess.Popen:
    """A process that runs a program, ready to work."""
    command = [sys.executable, "-c", program, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


def kill_after(process: subprocess.Popen, seconds: float) -> None:
    """Kill a process, if it still runs then."""
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["files", "saves", "fits", "sizes"])
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    warnings.simplefilter("ignore")
    if given.what == "files":
        fine = mutated_files(given.number, given.seconds, given.seed)
    elif given.what == "saves":
        fine = killed_saves(given.number, given.seed)
    elif given.what == "sizes":
        fine = sizes()
    else:
        fine = killed_fits(given.number, given.seed)
    sys.exit(0 if fine else 1)
