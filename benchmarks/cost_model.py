"""What fits on many workers will take: a model of costs, and how well it predicts.

    python benchmarks/cost_model.py

measures one process (bytes and operations in a second), an empty task, and messages of
two sizes between two processes. It predicts fits by two workers from these, measures
the fits as well, and then predicts machines that are not here. Run it on an idle
machine.
"""

import argparse
import math
import multiprocessing
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
from out_of_core import LAGS, fitted, write

BLOCK = 32e6


@dataclass(frozen=True)
class ClosedForm:
    """A VAR of some lags by sums over blocks of rows: what it reads, adds and sends."""

    n_rows: int
    n_series: int
    lags: int = LAGS

    @property
    def n_bytes(self) -> float:
        """Of the table, each read once."""
        return 8.0 * self.n_rows * self.n_series

    @property
    def n_operations(self) -> float:
        """Of the products of rows with each other, the same row and those before it."""
        return 2.0 * (self.lags + 1) * self.n_rows * self.n_series**2

    @property
    def n_blocks(self) -> int:
        """Tasks that read; about as many again join."""
        return math.ceil(self.n_bytes / BLOCK)

    @property
    def message(self) -> float:
        """Bytes of the sums of a stretch: products, and the rows at both ends."""
        return 8.0 * (
            (self.lags + 1) * self.n_series**2 + 2 * self.lags * self.n_series
        )


@dataclass(frozen=True)
class Worker:
    """Rates of one core, and of what connects it to others."""

    bytes_per_s: float
    operations_per_s: float
    task_s: float
    latency_s: float
    message_bytes_per_s: float

    def seconds(self, fit: ClosedForm, n_workers: int) -> float:
        """Of the pass over the blocks, and of the joins in a tree."""
        reading = fit.n_bytes / self.bytes_per_s
        adding = fit.n_operations / self.operations_per_s
        # One scheduler hands out all tasks, while workers do them.
        tasks = 2 * fit.n_blocks * self.task_s
        rounds = math.ceil(math.log2(n_workers))
        message = self.latency_s + fit.message / self.message_bytes_per_s
        return max((reading + adding) / n_workers, tasks) + rounds * message


@dataclass(frozen=True)
class Training:
    """Steps of a network on several devices, which add up their gradients."""

    n_steps: int
    operations_per_step: float
    n_parameters: int

    def seconds(self, device: Worker, n_devices: int) -> float:
        """Of the same steps, each device with its part of a batch (ring all-reduce)."""
        computing = self.operations_per_step / n_devices / device.operations_per_s
        sent = 8.0 * self.n_parameters * (n_devices - 1) / n_devices
        rounds = 2 * (n_devices - 1)
        sending = rounds * device.latency_s + sent / device.message_bytes_per_s
        return self.n_steps * (computing + sending)


def pass_seconds(n_rows: int, n_series: int, engine=None, n_workers=None) -> float:
    """Of a fit, after one that started everything."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.npy"
        write(path, n_rows, n_series)
        if engine is None:
            fitted(path)
            return min(fitted(path)[1] for _ in range(2))
        from out_of_core import with_dask, with_ray

        return {"dask": with_dask, "ray": with_ray}[engine](path, n_workers)


def nothing(number: int) -> int:
    return number


def task_seconds(engine: str) -> float:
    """Of an empty task, of many."""
    n = 400
    if engine == "dask":
        from distributed import Client, LocalCluster

        options = {"threads_per_worker": 1, "dashboard_address": None}
        with LocalCluster(n_workers=1, **options) as cluster, Client(cluster) as client:
            client.gather(client.map(nothing, range(n)))
            start = time.perf_counter()
            client.gather(client.map(nothing, range(n, 2 * n)))
            return (time.perf_counter() - start) / n
    import ray

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        empty = ray.remote(nothing)
        ray.get([empty.remote(i) for i in range(n)])
        start = time.perf_counter()
        ray.get([empty.remote(i) for i in range(n)])
        return (time.perf_counter() - start) / n
    finally:
        ray.shutdown()


def rates() -> Worker:
    """Of this process, from the seconds that more rows take of few and many series."""
    slopes = {}
    for n_series in (50, 400):
        rows = [round(x * BLOCK / 8 / n_series) for x in (2, 10)]
        short, long = (pass_seconds(n, n_series) for n in rows)
        slopes[n_series] = (long - short) / (8.0 * (rows[1] - rows[0]) * n_series)
    # Operations for each byte grow with the number of series.
    per_byte = {n: 2 * (LAGS + 1) * n / 8 for n in slopes}
    few, many = slopes
    per_operation = (slopes[many] - slopes[few]) / (per_byte[many] - per_byte[few])
    reading = slopes[few] - per_byte[few] * per_operation
    if min(reading, per_operation) <= 0:
        raise SystemExit("More operations took less time: the machine is not idle.")
    return Worker(1 / reading, 1 / per_operation, 0.0, 0.0, math.inf)


def network_and_batch(n_windows: int):
    """SAMoVAR of default sizes on 21 series, and windows with what follows them."""
    import torch

    from skvar.nn import SAMoVAR

    torch.manual_seed(0)
    torch.set_num_threads(1)
    sizes = {"lags": 336, "horizon": 96, "token_length": 24, "n_series": 21}
    network = SAMoVAR(**sizes, n_layers=1, n_heads=4, d_model=32)
    return network, (torch.randn(n_windows, 336, 21), torch.randn(n_windows, 96, 21))


def step_seconds(n_windows: int, n_steps: int = 10) -> float:
    """Of a step of training on one core, without others."""
    network, batch = network_and_batch(n_windows)
    seconds = []
    for _ in range(n_steps):
        start = time.perf_counter()
        sum(network.losses(*batch).values()).backward()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def operations_of_step(n_windows: int) -> float:
    """Of a step of training, as torch counts those of products of matrices."""
    from torch.utils.flop_counter import FlopCounterMode

    network, batch = network_and_batch(n_windows)
    with FlopCounterMode(display=False) as counter:
        sum(network.losses(*batch).values()).backward()
    return counter.get_total_flops()


def step_of_pair(rank: int, place: str, found) -> None:
    """Seconds of a step of two processes, each with half of 32 windows."""
    import torch
    import torch.distributed as pair

    pair.init_process_group("gloo", init_method=place, rank=rank, world_size=2)
    network, batch = network_and_batch(16)
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        sum(network.losses(*batch).values()).backward()
        pair.all_reduce(torch.cat([x.grad.flatten() for x in network.parameters()]))
        seconds.append(time.perf_counter() - start)
    if not rank:
        found.put(float(np.median(seconds)))
    pair.destroy_process_group()


def messages_of_pair(rank: int, place: str, found) -> None:
    """Seconds that adding up a number takes, and bytes in a second of many."""
    import torch
    import torch.distributed as pair

    pair.init_process_group("gloo", init_method=place, rank=rank, world_size=2)
    seconds = []
    for n_numbers in (1, 2**22):
        numbers, times = torch.zeros(n_numbers), []
        for _ in range(20):
            pair.barrier()
            start = time.perf_counter()
            pair.all_reduce(numbers)
            times.append(time.perf_counter() - start)
        seconds.append(float(np.median(times)))
    if not rank:
        # Of a ring of two: each sends half of the numbers twice.
        found.put((seconds[0] / 2, 4 * 2**22 / (seconds[1] - seconds[0])))
    pair.destroy_process_group()


def of_two_processes(work):
    """What the first of two processes that meet finds."""
    context = multiprocessing.get_context("spawn")
    found = context.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        place = f"file://{folder}/meet"
        workers = [
            context.Process(target=work, args=(rank, place, found)) for rank in (0, 1)
        ]
        for worker in workers:
            worker.start()
        result = found.get()
        for worker in workers:
            worker.join()
    return result


def compare(what: str, predicted: float, measured: float) -> None:
    print(
        f"| {what} | {predicted:.3g} | {measured:.3g} | {measured / predicted:.2f} |",
        flush=True,
    )


def check(gigabytes: float) -> tuple[Worker, Training]:
    """Predict two workers from one, and measure them."""
    core = rates()
    print(
        f"One core reads {core.bytes_per_s / 1e6:.0f} MB and adds "
        f"{core.operations_per_s / 1e9:.0f} GFLOP in a second.\n"
    )
    print("| | predicted s | measured s | ratio |\n|---|---:|---:|---:|")
    fit = ClosedForm(round(gigabytes * 1e9 / 8 / 200), 200)
    compare(
        f"{gigabytes:g} GB, 200 series, one process",
        core.seconds(fit, 1),
        pass_seconds(fit.n_rows, fit.n_series),
    )
    for engine in ("dask", "ray"):
        worker = Worker(
            core.bytes_per_s, core.operations_per_s, task_seconds(engine), 1e-3, 1e9
        )
        for n_workers in (1, 2):
            compare(
                f"the same, {n_workers} of {engine}",
                worker.seconds(fit, n_workers),
                pass_seconds(fit.n_rows, fit.n_series, engine, n_workers),
            )
    network, _ = network_and_batch(1)
    n_parameters = sum(x.numel() for x in network.parameters())
    step = Training(1, operations_of_step(32), n_parameters)
    latency, bandwidth = of_two_processes(messages_of_pair)
    rate = step.operations_per_step / step_seconds(32)
    process = Worker(math.inf, rate, 0.0, latency, bandwidth)
    compare(
        "a step of 32 windows of 21 series, two processes",
        step.seconds(process, 2),
        of_two_processes(step_of_pair),
    )
    print(
        f"\nThe step has {step.operations_per_step / 1e9:.2f} GFLOP and {n_parameters} "
        f"parameters; a core does {rate / 1e9:.0f} GFLOP in a second. A message takes "
        f"{1e6 * latency:.0f} microseconds, and a second for {bandwidth / 1e9:.1f} GB."
    )
    return core, step


def beyond(core: Worker, step: Training) -> None:
    """Predict machines that are not here."""
    # A data centre: 10 Gbit/s and 1 ms between workers, 2 ms a task, disks as fast.
    worker = Worker(core.bytes_per_s, core.operations_per_s, 2e-3, 1e-3, 1.25e9)
    print("\n| workers | 1 TB, 100 series | 1 TB, 1000 series |\n|---:|---:|---:|")
    for n_workers in (1, 10, 100, 1000):
        seconds = [
            worker.seconds(ClosedForm(round(1e12 / 8 / n), n), n_workers)
            for n in (100, 1000)
        ]
        print(f"| {n_workers} | " + " | ".join(f"{x:.0f} s" for x in seconds) + " |")
    # 10 TFLOP/s of matrix products in use, 100 GB/s and 20 microseconds between GPUs;
    # 1024 windows of 21 series in a step for each of them.
    gpu = Worker(math.inf, 1e13, 0.0, 2e-5, 1e11)
    print("\n| GPUs | windows in a step | seconds for 1e9 windows of a series |")
    print("|---:|---:|---:|")
    for n_devices in (1, 8):
        n_windows = 1024 * n_devices
        steps = Training(
            math.ceil(1e9 / 21 / n_windows),
            step.operations_per_step * n_windows / 32,
            step.n_parameters,
        )
        print(f"| {n_devices} | {n_windows} | {steps.seconds(gpu, n_devices):.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=1.0)
    core, step = check(parser.parse_args().gigabytes)
    beyond(core, step)


if __name__ == "__main__":
    main()
