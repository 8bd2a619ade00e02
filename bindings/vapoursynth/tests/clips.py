"""Synthetic clips, and the `rife` command to compare with."""

import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import vapoursynth as vs

core = vs.core

WIDTH, HEIGHT = 128, 72
#: The default clip: number of frames, the frame before the cut, the first frame of the still pair.
FRAMES, CUT, STILL = 14, 8, 3

#: Planes of a frame, as arrays.
Planes = list[np.ndarray]


def texture(seed: int) -> np.ndarray:
    """A detailed picture with three channels in [0, 1], larger than a frame."""
    random = np.random.default_rng(seed)
    picture = np.zeros((3, HEIGHT + 64, WIDTH + 64))
    for size, weight in ((32, 0.5), (16, 0.3), (8, 0.2)):
        coarse = random.random((3, (HEIGHT + 64) // size + 2, (WIDTH + 64) // size + 2))
        fine = np.kron(coarse, np.ones((1, size, size)))
        # A box filter softens the edges, as in camera footage.
        for axis in (1, 2):
            fine = sum(np.roll(fine, shift, axis) for shift in range(4)) / 4
        picture += weight * fine[:, : HEIGHT + 64, : WIDTH + 64]
    return picture


def pictures(frames: int = FRAMES, cut: int | None = CUT, still: int | None = STILL) -> np.ndarray:
    """Frames x channels x rows x columns in [0, 1]: a moving scene, a still pair, a cut."""
    scenes = [texture(1), texture(2)]
    out = []
    for n in range(frames):
        scene = scenes[1 if cut is not None and n > cut else 0]
        at = n - 1 if still is not None and n > still else n
        x, y = 3 * at % 60, at % 40
        out.append(scene[:, y : y + HEIGHT, x : x + WIDTH])
    return np.stack(out)


def samples(format: vs.VideoFormat, **arguments) -> list[Planes]:
    """The pictures as samples of a format, without colour conversion."""
    out = []
    for picture in pictures(**arguments):
        planes = []
        for number in range(format.num_planes):
            plane = picture[number]
            if number and format.color_family == vs.YUV:
                plane = plane[:: 1 << format.subsampling_h, :: 1 << format.subsampling_w]
            if format.sample_type == vs.FLOAT:
                kind = np.float16 if format.bits_per_sample == 16 else np.float32
                planes.append(plane.astype(kind))
            else:
                kind = np.uint8 if format.bits_per_sample == 8 else np.uint16
                most = (1 << format.bits_per_sample) - 1
                planes.append((plane * most).round().astype(kind))
        out.append(planes)
    return out


def clip_of(
    frames: list[Planes], format: vs.VideoFormat, fps: Fraction = Fraction(24000, 1001), **props
) -> vs.VideoNode:
    """A clip of these samples."""
    height, width = frames[0][0].shape
    blank = core.std.BlankClip(
        format=format.id,
        width=width,
        height=height,
        length=len(frames),
        fpsnum=fps.numerator,
        fpsden=fps.denominator,
    )

    def fill(n, f):
        out = f.copy()
        for number, plane in enumerate(frames[n]):
            np.copyto(np.asarray(out[number]), plane)
        for key, value in props.items():
            out.props[key] = value
        return out

    return core.std.ModifyFrame(blank, blank, fill)


def planes_of(frame: vs.VideoFrame) -> Planes:
    return [np.array(frame[number]) for number in range(frame.format.num_planes)]


def same(a: Planes, b: Planes) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


LAYOUTS = {(1, 1): "420", (1, 0): "422", (0, 0): "444"}


@dataclass
class Cli:
    """The `rife` command."""

    command: Path
    folder: Path

    def run(self, *arguments: object) -> None:
        subprocess.run([self.command, "interpolate", *map(str, arguments)], check=True)

    def y4m(
        self,
        frames: list[Planes],
        format: vs.VideoFormat,
        *options: object,
        fps: str = "24000:1001",
    ) -> list[Planes]:
        """Interpolates a Y4M file of these samples."""
        depth = format.bits_per_sample
        layout = (
            "mono"
            if format.color_family == vs.GRAY
            else LAYOUTS[(format.subsampling_w, format.subsampling_h)]
        )
        if depth > 8:
            layout += str(depth) if layout == "mono" else f"p{depth}"
        height, width = frames[0][0].shape
        source, target = self.folder / "in.y4m", self.folder / "out.y4m"
        with source.open("wb") as file:
            file.write(f"YUV4MPEG2 W{width} H{height} F{fps} Ip C{layout}\n".encode())
            for planes in frames:
                file.write(b"FRAME\n" + b"".join(plane.tobytes() for plane in planes))
        self.run(source, "-o", target, "--overwrite", *self.engine(options))
        return read_y4m(target.read_bytes(), frames[0])

    def raw_rgb(
        self, frames: list[Planes], format: vs.VideoFormat, *options: object
    ) -> list[Planes]:
        """Interpolates a raw file of interleaved RGB."""
        source, target = self.folder / "in.rgb", self.folder / "out.yuv"
        source.write_bytes(b"".join(np.stack(planes, -1).tobytes() for planes in frames))
        name = "rgb24" if format.bits_per_sample == 8 else "rgb48le"
        height, width = frames[0][0].shape
        self.run(
            source,
            "-o",
            target,
            "--overwrite",
            "--pix-fmt",
            name,
            "--size",
            f"{width}x{height}",
            *self.engine(options),
        )
        pixels = np.frombuffer(target.read_bytes(), frames[0][0].dtype)
        pixels = pixels.reshape(-1, height, width, 3)
        return [[np.ascontiguousarray(frame[..., c]) for c in range(3)] for frame in pixels]

    @staticmethod
    def engine(options: tuple[object, ...]) -> list[object]:
        model = [] if "--model" in options else ["--model", "4.6"]
        return [*options, *model, "--device", "cpu"]


def read_y4m(data: bytes, like: Planes) -> list[Planes]:
    """The frames of a Y4M stream with planes of these shapes and types."""
    at = data.index(b"\n") + 1
    frames = []
    while at < len(data):
        at = data.index(b"\n", at) + 1
        planes = []
        for plane in like:
            planes.append(np.frombuffer(data, plane.dtype, plane.size, at).reshape(plane.shape))
            at += plane.nbytes
        frames.append(planes)
    return frames
