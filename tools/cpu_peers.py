#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "torch==2.11.0",
#   "onnx==1.23.2",
#   "onnxruntime==1.32.0",
#   "openvino==2026.4.1",
#   "numpy==2.4.6",
#   "pillow==13.0.0",
#   "av==18.1.0",
#   "safetensors==0.8.0",
# ]
# ///
"""RIFE on the CPU by others: PyTorch (eager, channels last), ONNX Runtime and OpenVINO (F32, BF16).

    python tools/cpu_peers.py a.png b.png --checkpoint rife46.pth --model 4.6 --size 640x360 --threads 2 \\
        --rife-bench target/release/rife-bench --output peers.json

Each peer runs in a process of its own, so that its peak of memory is its own; one that is not
installed, or that the processor cannot run, is named as absent. The networks are those of
tools/reference.py. With --rife-bench that program's optimized engine takes its turn in every round:
a machine that gets busier does so to all alike. A ratio is a median over OpenVINO F32's of the same
session: below 1 is faster.

What is timed: of a peer the network alone, from padded float planes to float planes, both frames
encoded each time; of rife-bench a frame of a stream by --mode latency, with 8-bit RGB in and out.
The largest error is against PyTorch's F32, full scale being 1; rife-bench's is in its own records.
"""

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

PEERS = ("torch", "torch-channels-last", "onnxruntime", "openvino-f32", "openvino-bf16")
BASIS = "openvino-f32"
# Ours: precision, threads where they are not those of all, and instructions where they are fewer.
OURS = {
    "rife f32": ("f32", None, None),
    "rife f32, avx2": ("f32", None, "avx2"),
    "rife f32, 1 thread": ("f32", 1, None),
    "rife bf16": ("bf16", None, None),
}
WARMUP = 2


class Absent(Exception):
    """The peer cannot run here, and why."""


def package(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Absent(str(error)) from error


def peak_mib():
    # The high-water mark of this program alone: getrusage's begins with that of the parent.
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return None


def torch_network(args):
    """The network of tools/reference.py, with the grid of its warps made once: a peer at its best."""
    torch = package("torch")
    torch.set_num_threads(args["threads"])
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    reference = package("reference")
    grids = {}

    def warp(image, flow):
        h, w = int(image.shape[2]), int(image.shape[3])
        if (h, w) not in grids:
            ys, xs = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
            step = torch.tensor([2 / (w - 1), 2 / (h - 1)]).view(1, 2, 1, 1)
            grids[h, w] = torch.stack((xs, ys))[None], step
        grid, step = grids[h, w]
        places = (grid + flow * step).permute(0, 2, 3, 1)
        return reference.F.grid_sample(image, places, mode="bilinear", padding_mode="border", align_corners=True)

    reference.warp = warp
    net = reference.IFNet("4.6" if args["model"] == "4.6" else "4.26")
    state = torch.load(args["checkpoint"], map_location="cpu", weights_only=True)
    net.load_state_dict({k: v for k, v in state.items() if not k.startswith(("teacher.", "caltime."))})

    class Middle(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, a, b):
            return self.net(a, b, [0.5])[0]

    return torch, Middle().eval()


def prepare(args):
    """The inputs, PyTorch's answer, and the network as ONNX."""
    np, image = package("numpy"), package("PIL.Image")
    folder, multiple = Path(args["folder"]), 32 if args["model"] == "4.6" else 64
    width, height = args["size"]
    for name in "ab":
        pixels = np.asarray(image.open(folder / f"{name}.png"), np.float32).transpose(2, 0, 1)[None] / 255
        np.save(folder / f"{name}.npy", np.pad(pixels, ((0, 0), (0, 0), (0, -height % multiple), (0, -width % multiple))))
    torch, net = torch_network(args)
    a, b = (torch.from_numpy(np.load(folder / f"{name}.npy")) for name in "ab")
    with torch.inference_mode():
        np.save(folder / "expected.npy", net(a, b).numpy())
    package("onnx")
    with torch.no_grad():
        torch.onnx.export(net, (a, b), folder / "net.onnx", opset_version=18, input_names=["a", "b"], output_names=["middle"], dynamo=False)
    return {}


def runner(peer, args, a, b):
    """What runs the peer once and returns its frame, and the peer's version."""
    threads, onnx = args["threads"], Path(args["folder"]) / "net.onnx"
    if peer.startswith("torch"):
        torch, net = torch_network(args)
        a, b = torch.from_numpy(a), torch.from_numpy(b)
        if peer == "torch-channels-last":
            net = net.to(memory_format=torch.channels_last)
            a, b = (x.to(memory_format=torch.channels_last) for x in (a, b))

        def run():
            with torch.inference_mode():
                return net(a, b).numpy()

        return run, torch.__version__
    module = package("onnxruntime" if peer == "onnxruntime" else "openvino")
    if not onnx.is_file():
        raise Absent("the network could not be exported as ONNX")
    if peer == "onnxruntime":
        options = module.SessionOptions()
        options.intra_op_num_threads = threads
        session = module.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"a": a, "b": b})[0], module.__version__
    wanted = peer.removeprefix("openvino-")
    config = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": wanted}
    try:
        compiled = module.Core().compile_model(onnx, "CPU", config)
    except RuntimeError as error:
        raise Absent(str(error).strip().splitlines()[-1]) from error
    got = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    if got != {"f32": "f32", "bf16": "bf16"}[wanted]:
        raise Absent(f"the processor computes in {got} instead")
    request = compiled.create_infer_request()
    return lambda: request.infer([a, b])[0], module.__version__


def measure(peer, args):
    """Of one peer, in a process of its own."""
    np = package("numpy")
    folder = Path(args["folder"])
    width, height = args["size"]
    a, b, expected = (np.load(folder / f"{name}.npy") for name in ("a", "b", "expected"))
    run, version = runner(peer, args, a, b)
    for _ in range(WARMUP):
        frame = run()
    error = float(np.abs(frame - expected)[:, :, :height, :width].max())
    samples = []
    for _ in range(args["samples"]):
        start = time.perf_counter()
        run()
        samples.append((time.perf_counter() - start) * 1000)
    return dict(version=version, frame_ms=samples, max_error=error, peak_rss_mib=peak_mib())


def child(what, args):
    """Runs a part of this program by itself."""
    environment = os.environ | {"OMP_NUM_THREADS": str(args["threads"])}
    command = [sys.executable, __file__, "--child", what, json.dumps(args)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        return dict(failed=last)
    return json.loads(done.stdout.splitlines()[-1])


def ours(name, options, args):
    """A run of the optimized engine by rife-bench, from its record."""
    folder = Path(args["folder"])
    record = folder / "rife-bench.json"
    precision, threads, instructions = OURS[name]
    threads = str(threads or args["threads"])
    command = [options.rife_bench, "--device", "cpu", "--engine", "optimized", "--precision", precision, "--mode", "latency"]
    command += ["--model", args["model"], "--threads", threads, "--repeats", "1", "--warmup", str(WARMUP)]
    command += ["--frames", str(args["samples"]), "--reference", "optimized-f32", "--quiet", "--overwrite"]
    command += ["--input", folder / "a.png", folder / "b.png", "--output", record]
    if options.weights:
        command += ["--weights", options.weights]
    environment = os.environ | ({"RIFE_CPU": instructions} if instructions else {})
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        return dict(failed=done.stderr.strip())
    whole = json.loads(record.read_text())
    seen = next(m for m in whole["measurements"] if m["case"]["precision"] == precision)
    [run] = seen["runs"]
    commit = (whole["git"] or {}).get("commit", "unknown")[:7]
    version = f"{whole['build']['version']}, {commit}, {seen['subject']['arithmetic']}"
    return dict(version=version, frame_ms=run["frame_ms"], max_error=None, peak_rss_mib=run["peak_rss_mib"])


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def joined(name, rounds):
    """The rounds of one peer as an entry of the record."""
    for seen in rounds:
        for why in ("absent", "failed"):
            if why in seen:
                return {"peer": name, why: seen[why]}
    samples = [ms for seen in rounds for ms in seen["frame_ms"]]
    errors = [seen["max_error"] for seen in rounds if seen["max_error"] is not None]
    peaks = [seen["peak_rss_mib"] for seen in rounds if seen["peak_rss_mib"] is not None]
    return dict(
        peer=name,
        version=rounds[0]["version"],
        median_ms=statistics.median(samples),
        round_median_ms=[statistics.median(seen["frame_ms"]) for seen in rounds],
        samples=len(samples),
        frame_ms=[[round(ms, 3) for ms in seen["frame_ms"]] for seen in rounds],
        max_error=max(errors, default=None),
        peak_rss_mib=max(peaks, default=None),
    )


def size(text):
    width, height = map(int, text.lower().split("x"))
    return width, height


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs=2, type=Path, help="the pair, resized to --size")
    parser.add_argument("--checkpoint", required=True, type=Path, help="the published .pth of the model")
    parser.add_argument("--model", choices=("4.6", "4.25", "4.26"), default="4.6")
    parser.add_argument("--size", type=size, default=(640, 360), metavar="WxH")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    parser.add_argument("--samples", type=int, default=10, help="frames of each peer in each round")
    parser.add_argument("--rounds", type=int, default=3, help="turns of every peer")
    parser.add_argument("--peers", default=",".join(PEERS), help="those to run, with commas")
    parser.add_argument("--rife-bench", type=Path, help="also run this program's optimized engine")
    parser.add_argument("--weights", type=Path, help="its folder of weights")
    parser.add_argument("--output", type=Path, help="where the JSON goes [default: standard output]")
    options = parser.parse_args()
    peers = options.peers.split(",")
    if unknown := set(peers) - set(PEERS):
        sys.exit(f"unknown peers: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")

    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        for name, picture in zip("ab", options.pictures):
            Image.open(picture).convert("RGB").resize(options.size, Image.Resampling.BICUBIC).save(Path(folder) / f"{name}.png")
        args = dict(folder=folder, model=options.model, checkpoint=str(options.checkpoint.resolve()), size=options.size, threads=options.threads, samples=options.samples)
        prepared = child("prepare", args)
        if not (Path(folder) / "expected.npy").is_file():
            sys.exit(f"PyTorch's own frame could not be made: {prepared}")
        names = peers + (list(OURS) if options.rife_bench else [])
        rounds = {name: [] for name in names}
        for turn in range(options.rounds):
            for name in names:
                # What cannot run now cannot run later.
                if any("frame_ms" not in seen for seen in rounds[name]):
                    continue
                print(f"round {turn + 1} of {options.rounds}: {name}", file=sys.stderr)
                rounds[name].append(ours(name, options, args) if name in OURS else child(name, args))

    entries = [joined(name, rounds[name]) for name in names]
    basis = next((e for e in entries if e["peer"] == BASIS and "median_ms" in e), None)
    for entry in entries:
        if basis and "median_ms" in entry:
            entry["ratio"] = entry["median_ms"] / basis["median_ms"]
            entry["round_ratios"] = [a / b for a, b in zip(entry["round_median_ms"], basis["round_median_ms"])]
    record = dict(
        time_utc=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        cpu=processor(),
        model=options.model,
        size=list(options.size),
        threads=options.threads,
        rounds=options.rounds,
        samples=options.samples,
        warmup=WARMUP,
        ratio_to=BASIS,
        peers=entries,
    )
    text = json.dumps(record, indent=2)
    for entry in entries:
        if "median_ms" in entry:
            error = "" if entry["max_error"] is None else f"  max error {entry['max_error']:.1e}"
            ratio = f"  x{entry['ratio']:.3f}" if "ratio" in entry else ""
            peak = "" if entry["peak_rss_mib"] is None else f"  {entry['peak_rss_mib']:.0f} MiB"
            line = f"{entry['median_ms']:9.2f} ms{ratio}{peak}{error}"
        else:
            line = f"absent: {entry['absent']}" if "absent" in entry else f"failed: {entry['failed']}"
        print(f"{entry['peer']:<24} {line}", file=sys.stderr)
    if options.output:
        options.output.write_text(text + "\n")
    else:
        print(text)


def child_main(what, args):
    try:
        seen = prepare(args) if what == "prepare" else measure(what, args)
    except Absent as absent:
        seen = dict(absent=str(absent))
    print(json.dumps(seen))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child_main(sys.argv[2], json.loads(sys.argv[3]))
    else:
        main()
