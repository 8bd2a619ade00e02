#!/usr/bin/env python3
# /// script
# requires-python = ">=3.10"
# dependencies = ["torch==2.11.0", "safetensors==0.8.0", "numpy"]
# ///
"""Writes the fixtures of the converter tests.

torch.save writes each checkpoint in the zip format (`NAME.zip.ckpt`) and in the legacy format before
PyTorch 1.6 (`NAME.legacy.ckpt`). `NAME.safetensors` contains the expected tensors, contiguous and
written by the Python safetensors library. `digests.txt` contains the SHA-256 of the tensors of each
case, computed here without the Rust code.

    python tools/convert_fixtures.py [FOLDER]

Only the storage keys of legacy files contain addresses, so a second run changes only legacy files.
"""

import collections
import hashlib
import io
import struct
import sys
import warnings
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

FOLDER = Path(__file__).parent.parent / "crates/rife-model/tests/data/convert"
NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def values(shape, dtype, seed):
    """Random bits, including NaNs; for bool, random truth values."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.empty(0, dtype=dtype).element_size()
    count = torch.Size(shape).numel()
    if dtype == torch.bool:
        return torch.randint(0, 2, shape, generator=generator).bool()
    raw = torch.randint(0, 256, (count * size,), generator=generator, dtype=torch.uint8)
    return raw.view(dtype).reshape(shape).clone()


def dtypes():
    return {
        f"layer.{NAMES[d].lower()}": values((3, 5), d, i) for i, d in enumerate(NAMES)
    }


def layouts():
    base = values((4, 6), torch.float32, 20)
    image = values((2, 3, 4, 5), torch.float16, 21)
    scalar = torch.tensor(3.25)
    return collections.OrderedDict(
        [
            ("whole", base),
            ("shared.same", base),
            ("shared.row", base[1]),
            ("shared.columns", base[:, 2:4]),
            ("shared.offset", base.flatten()[5:9]),
            ("transposed", base.t()),
            ("steps", base[::2, ::3]),
            ("channels_last", image.contiguous(memory_format=torch.channels_last)),
            ("permuted", image.permute(3, 0, 2, 1)),
            ("expanded", values((1, 3), torch.int64, 22).expand(4, 3)),
            ("expanded_scalar", torch.tensor(7, dtype=torch.int16).expand(2, 2)),
            ("empty", torch.empty(0)),
            ("empty_matrix", torch.empty(3, 0, 2, dtype=torch.int32)),
            ("scalar", scalar),
            ("scalar.bool", torch.tensor(True)),
            ("one", torch.ones(1, 1, 1)),
            ("parameter", torch.nn.Parameter(values((2, 2), torch.float32, 23).nan_to_num())),
            ("buffer", torch.nn.parameter.Buffer(torch.arange(4))),
            ("ключ \"x\"\n", torch.arange(3)),
        ]
    )


def module():
    """The state dict of a real module, with `_metadata` and the prefix of DataParallel."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    return torch.nn.DataParallel(net).state_dict()


def nested(sets=False):
    """Sets and bytes only with `sets`: protocol 2 pickles them with functions that are refused."""
    ema = {"w": torch.arange(4.0), "b": torch.arange(2.0)}
    return {
        "epoch": 12,
        "loss": 0.25,
        "name": "ünï",
        "done": True,
        "nothing": None,
        "big": 1 << 100,
        "list": [1, [2, (3, {4}, frozenset({5}), b"bytes")]] if sets else [1, [2, (3, 4)]],
        "size": torch.Size([1, 2]),
        "dtype": torch.bfloat16,
        "device": torch.device("cuda:0"),
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "lr": 1e-4},
        "params": {k: v + 1 for k, v in ema.items()},
        "params_ema": ema,
    }


def attributes():
    parameter = torch.nn.Parameter(torch.arange(3.0))
    parameter.note = "kept by _rebuild_parameter_with_state"
    tensor = torch.arange(5)
    tensor.note = "kept by _rebuild_from_type_v2"
    return {"parameter": parameter, "tensor": tensor, "extra": 5}


CASES = {
    "dtypes": (dtypes, lambda d: d),
    "layouts": (layouts, lambda d: d),
    "module": (module, lambda d: {k.removeprefix("module."): v for k, v in d.items()}),
    "nested": (nested, lambda d: d["params_ema"]),
    "attributes": (attributes, lambda d: {k: v for k, v in d.items() if k != "extra"}),
}
UNSUPPORTED = {
    # The first zip header of this file has the length of the zip64 end record, 76 bytes.
    "complex64": lambda: torch.zeros(2, dtype=torch.complex64),
    "quint8": lambda: torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.quint8),
    "uint16": lambda: torch.zeros(2, dtype=torch.uint16),
    "float8_e4m3fn": lambda: torch.zeros(2).to(torch.float8_e4m3fn),
}


def raw_bytes(tensor):
    tensor = tensor.detach().contiguous()
    return bytes(tensor.flatten().view(torch.uint8).tolist()) if tensor.numel() else b""


def digest(tensors):
    hash = hashlib.sha256()
    for name in sorted(tensors, key=str.encode):
        tensor = tensors[name]
        for text in (name.encode(), NAMES[tensor.dtype].encode()):
            hash.update(struct.pack("<Q", len(text)) + text)
        hash.update(struct.pack(f"<Q{tensor.dim()}Q", tensor.dim(), *tensor.shape))
        hash.update(raw_bytes(tensor))
    return hash.hexdigest()


def rezip(source, target, change, compression=zipfile.ZIP_STORED, prefix=None):
    """Copies a checkpoint, changing each entry and renaming the folder."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for info in old.infolist():
            folder, name = info.filename.split("/", 1)
            data = change(name, old.read(info))
            folder = folder if prefix is None else prefix
            entry = zipfile.ZipInfo(f"{folder}/{name}" if folder else name)
            entry.compress_type = compression
            new.writestr(entry, data)


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    digests = []
    for name, (make, expect) in CASES.items():
        checkpoint = make()
        expected = {
            k: v.detach().contiguous().clone().reshape(v.shape)
            for k, v in expect(checkpoint).items()
        }
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        (folder / f"{name}.zip.ckpt").write_bytes(buffer.getvalue())
        torch.save(checkpoint, folder / f"{name}.legacy.ckpt", _use_new_zipfile_serialization=False)
        save_file(expected, folder / f"{name}.safetensors")
        (folder / f"{name}.safetensors").chmod(0o644)
        digests.append(f"{digest(expected)} {name}\n")
    (folder / "digests.txt").write_text("".join(digests))

    for protocol in (3, 4, 5):
        torch.save(dtypes(), folder / f"dtypes.protocol{protocol}.ckpt", pickle_protocol=protocol)
    torch.save(nested(sets=True), folder / "nested.protocol4.ckpt", pickle_protocol=4)
    rezip(
        folder / "layouts.zip.ckpt",
        folder / "layouts.deflated.ckpt",
        lambda _, data: data,
        zipfile.ZIP_DEFLATED,
        "any name",
    )

    # A big-endian file. torch.load must read the same values from it.
    sizes = {str(i): d.itemsize for i, d in enumerate(NAMES)}

    def to_big(name, data):
        if name == "byteorder":
            return b"big"
        if name.startswith("data/"):
            size = sizes[name.removeprefix("data/")]
            return b"".join(data[i : i + size][::-1] for i in range(0, len(data), size))
        return data

    rezip(folder / "dtypes.zip.ckpt", folder / "dtypes.big.ckpt", to_big)
    for key, value in torch.load(folder / "dtypes.big.ckpt").items():
        assert raw_bytes(value) == raw_bytes(dtypes()[key]), key

    for name, make in UNSUPPORTED.items():
        torch.save({"fine": torch.zeros(1), "odd.one": make()}, folder / f"unsupported.{name}.ckpt")
    torch.save(torch.nn.Linear(1, 1), folder / "refused.module.ckpt")
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), buffer)
    (folder / "refused.torchscript.ckpt").write_bytes(buffer.getvalue())


if __name__ == "__main__":
    main()
