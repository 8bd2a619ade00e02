#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "torch==2.11.0",
#   "onnx==1.23.2",
#   "onnxruntime==1.32.0",
#   "openvino==2026.4.1",
#   "numpy==2.4.6",
# ]
# ///
"""Other implementations of RIFE: PyTorch on a GPU or a CPU, ONNX Runtime and OpenVINO on a CPU.

`rife-bench --peers --python PYTHON` runs this script, one process per peer and round, in turns with its own
engines. Peers whose packages are not installed are reported as absent. The networks use the layers of
tools/reference.py and the converted weights.

    python tools/peers.py --list cpu          list the peers of a device (cpu or cuda)
    python tools/peers.py PEER ARGUMENTS      measure one peer; ARGUMENTS is a JSON object, see `main`

Only the network is timed, at its best: padded float planes that are already on the device, with the warp grid and
the timestep precomputed, and for versions with an encoder the features of the earlier frame cached, so that one frame is
encoded per interpolated frame. In half precision everything is F16 including warp coordinates, as in common scripts.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

CPU = ("PyTorch eager f32", "PyTorch channels_last f32", "ONNX Runtime f32", "OpenVINO f32", "OpenVINO bf16")
CUDA = (
    "PyTorch eager f32",
    "PyTorch eager tf32",
    "PyTorch eager f16",
    "PyTorch channels_last + cudnn.benchmark f16",
    "PyTorch CUDA graph f16",
    "torch.compile max-autotune f16",
)
WARMUP = {"cpu": 2, "cuda": 10}
AT_ONCE = 10  # Frames per synchronization on a GPU.


class Absent(Exception):
    """The peer is not available; the message says why."""


def package(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Absent(str(error)) from error


def peak_mib():
    # The high-water mark of this process. getrusage would start with that of the parent.
    try:
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return None


def weights(args):
    """The tensors of a safetensors file, without those that only training uses."""
    np, torch = package("numpy"), package("torch")
    data = Path(args["weights"]).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    types = {"F32": np.float32, "F16": np.float16, "F64": np.float64, "I64": np.int64}
    tensors = {}
    for name, tensor in header.items():
        if name == "__metadata__" or name.startswith(("teacher.", "caltime.")):
            continue
        begin, end = tensor["data_offsets"]
        values = np.frombuffer(data[start + begin : start + end], types[tensor["dtype"]])
        tensors[name] = torch.from_numpy(values.reshape(tensor["shape"]).copy())
    return tensors


def network(args):
    """PyTorch, and the network for a stream of frames."""
    torch = package("torch")
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    reference = package("reference")
    F, nn = torch.nn.functional, torch.nn

    class Stream(reference.IFNet):
        """Takes both frames, and with an encoder the features of the earlier one."""

        def prepare(self, height, width, device, dtype):
            ys, xs = torch.meshgrid(
                torch.linspace(-1, 1, height, device=device), torch.linspace(-1, 1, width, device=device), indexing="ij"
            )
            self.grid = torch.stack((xs, ys))[None].to(dtype)
            step = torch.tensor([2 / (width - 1), 2 / (height - 1)], device=device)
            self.step = step.view(1, 2, 1, 1).to(dtype)
            self.t = torch.full((1, 1, height, width), 0.5, device=device, dtype=dtype)

        def warp(self, image, flow):
            places = (self.grid + flow * self.step).permute(0, 2, 3, 1)
            return F.grid_sample(image, places, mode="bilinear", padding_mode="border", align_corners=True)

        def forward(self, a, b, fa=None):
            fb = self.encode(b) if self.has_encoder else None
            flow = None
            for i, divisor in enumerate(self.divisors):
                block = getattr(self, f"block{i}")
                if flow is None:
                    x = (a, b, fa, fb, self.t) if self.has_encoder else (a, b, self.t)
                elif not self.has_encoder:
                    x = (wa, wb, self.t, mask)
                else:
                    x = (wa, wb, self.warp(fa, flow[:, :2]), self.warp(fb, flow[:, 2:4]), self.t, mask, feature)
                more, m, feature = block(torch.cat(x, 1), flow, divisor)
                flow = more if flow is None else flow + more
                mask = mask + m if self.add_masks and i > 0 else m
                wa, wb = self.warp(a, flow[:, :2]), self.warp(b, flow[:, 2:4])
            m = torch.sigmoid(mask)
            return wa * m + wb * (1 - m)

    net = Stream(architecture(args))
    net.load_state_dict(weights(args))
    for layer in net.modules():
        if isinstance(layer, nn.LeakyReLU):
            layer.inplace = True
    return torch, net.eval()


def architecture(args):
    """The version with the architecture of the model: 4.25 has that of 4.26."""
    return "4.26" if args["model"] == "4.25" else args["model"]


def frames(args):
    """Both frames as padded float planes."""
    np = package("numpy")
    width, height = args["width"], args["height"]
    # Not from `reference`, which imports PyTorch.
    multiple = {"4.6": 32, "4.22.lite": 32, "4.25.lite": 128}.get(args["model"], 64)
    planes = []
    for name in ("a.rgb", "b.rgb"):
        rgb = np.fromfile(Path(args["folder"]) / name, np.uint8).reshape(height, width, 3)
        padded = np.pad(rgb, ((0, -height % multiple), (0, -width % multiple), (0, 0)))
        planes.append(np.ascontiguousarray(padded.transpose(2, 0, 1)[None], np.float32) / 255)
    return planes


def on_torch(peer, args):
    """A PyTorch peer: functions to run it once and to get its frame, its version, and a function for its GPU memory."""
    torch, net = network(args)
    device = torch.device(args["device"])
    if device.type == "cuda" and not torch.cuda.is_available():
        raise Absent("PyTorch cannot use the GPU")
    if device.type == "cuda":
        torch.cuda.set_device(args["ordinal"])
    torch.set_num_threads(args["threads"])
    tuned = "channels_last +" in peer or "graph" in peer or "compile" in peer
    dtype = torch.float16 if peer.endswith("f16") else torch.float32
    torch.backends.cudnn.benchmark = tuned
    tf32 = peer.endswith("tf32")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    layout = torch.channels_last if tuned or "channels_last" in peer else torch.contiguous_format
    net = net.to(device, dtype).to(memory_format=layout)
    inputs = [torch.from_numpy(x).to(device, dtype).to(memory_format=layout) for x in frames(args)]
    net.prepare(*inputs[0].shape[2:], device, dtype)
    with torch.inference_mode():
        if net.has_encoder:
            inputs.append(net.encode(inputs[0]))
    run_network = torch.compile(net, mode="max-autotune") if "compile" in peer else net
    made = {}

    def once():
        with torch.inference_mode():
            made["frame"] = run_network(*inputs)

    run = once
    if "graph" in peer:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                once()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(graph):
            made["frame"] = net(*inputs)
        run = graph.replay

    def frame():
        return made["frame"].float().cpu().numpy()

    def gpu_mib():
        return torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else None

    return run, frame, torch.__version__, gpu_mib


def onnx_file(args):
    """The network as ONNX. A separate process exports it, so that its time and memory do not count for the peer."""
    path = Path(args["folder"]) / f"{args['model']}.onnx"
    if not path.is_file():
        command = [sys.executable, __file__, "--export", json.dumps(args)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0 or not path.is_file():
            last = (done.stderr.strip().splitlines() or ["no error message"])[-1]
            raise Absent(f"cannot export the network to ONNX: {last}")
    return path


def features_file(args):
    """The features of the earlier frame, which `export` writes for a network with an encoder."""
    return Path(args["folder"]) / f"{args['model']}.features.f32"


def export(args):
    torch, net = network(args)
    package("onnx")
    inputs = [torch.from_numpy(x) for x in frames(args)]
    net.prepare(*inputs[0].shape[2:], "cpu", torch.float32)
    names = ["a", "b"]
    with torch.no_grad():
        if net.has_encoder:
            inputs.append(net.encode(inputs[0]))
            names.append("features")
            inputs[2].numpy().tofile(features_file(args))
        path = Path(args["folder"]) / f"{args['model']}.onnx"
        torch.onnx.export(
            net, tuple(inputs), path, opset_version=18, input_names=names, output_names=["middle"], dynamo=False
        )


def on_onnx(peer, args):
    """As `on_torch`, for ONNX Runtime and OpenVINO."""
    module = package("onnxruntime" if peer.startswith("ONNX") else "openvino")
    np, path = package("numpy"), onnx_file(args)
    inputs = frames(args)
    features = features_file(args)
    if features.is_file():
        inputs.append(np.fromfile(features, np.float32).reshape(1, -1, *inputs[0].shape[2:]))
    made = {}
    if peer.startswith("ONNX"):
        options = module.SessionOptions()
        options.intra_op_num_threads = args["threads"]
        session = module.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        named = dict(zip([one.name for one in session.get_inputs()], inputs))

        def run():
            made["frame"] = session.run(None, named)[0]

    else:
        wanted = peer.rsplit(" ", 1)[1]
        config = {
            "INFERENCE_NUM_THREADS": args["threads"],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": wanted,
        }
        try:
            compiled = module.Core().compile_model(path, "CPU", config)
        except RuntimeError as error:
            raise Absent(str(error).strip().splitlines()[-1]) from error
        got = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        if got != wanted:
            raise Absent(f"the CPU computes in {got} instead")
        request = compiled.create_infer_request()

        def run():
            made["frame"] = request.infer(inputs)[0]

    return run, lambda: made["frame"], module.__version__, lambda: None


def timed(run, args):
    """Frame times in ms."""
    start, samples = time.perf_counter(), []

    def go_on():
        return len(samples) < args["frames"] and (len(samples) < 2 or time.perf_counter() - start < args["seconds"])

    if args["device"] == "cpu":
        while go_on():
            begun = time.perf_counter()
            run()
            samples.append((time.perf_counter() - begun) * 1000)
        return samples
    torch = package("torch")
    torch.cuda.synchronize()
    while go_on():
        events = [torch.cuda.Event(enable_timing=True) for _ in range(AT_ONCE + 1)]
        events[0].record()
        for event in events[1:]:
            run()
            event.record()
        torch.cuda.synchronize()
        samples += [before.elapsed_time(after) for before, after in zip(events, events[1:])]
    return samples[: args["frames"]]


def measure(peer, args):
    np = package("numpy")
    if "torch" not in peer.lower():
        onnx_file(args)  # Exported once for all peers; not part of the setup time.
    begun = time.perf_counter()
    run, frame, version, gpu_mib = (on_torch if "torch" in peer.lower() else on_onnx)(peer, args)
    run()
    made = frame()
    setup = (time.perf_counter() - begun) * 1000
    for _ in range(WARMUP[args["device"]]):
        run()
    samples = timed(run, args)
    width, height = args["width"], args["height"]
    np.ascontiguousarray(made[0, :, :height, :width], "<f4").tofile(Path(args["folder"]) / "frame.f32")
    return dict(
        version=version,
        frame_ms=[round(ms, 4) for ms in samples],
        setup_ms=round(setup, 1),
        peak_rss_mib=peak_mib(),
        peak_gpu_mib=gpu_mib(),
    )


def main():
    """ARGUMENTS: folder (contains a.rgb and b.rgb, 8-bit RGB; frame.f32 is written there), model, weights (a
    safetensors file), width, height, device (cpu or cuda), ordinal (of the GPU), threads, frames and seconds (limits)."""
    if sys.argv[1:2] == ["--list"] and len(sys.argv) == 3:
        print("\n".join({"cpu": CPU, "cuda": CUDA}[sys.argv[2]]))
        return
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    peer, args = sys.argv[1], json.loads(sys.argv[2])
    if peer == "--export":
        export(args)
        return
    os.environ.setdefault("OMP_NUM_THREADS", str(args["threads"]))
    try:
        seen = measure(peer, args)
    except Absent as absent:
        seen = dict(absent=str(absent))
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
