//! Hostile checkpoints, and the guarantees for the output.

mod convert_support;

use std::fs;
use std::path::Path;

use convert_support::pickle_writer::{FOUR, Pickle, TensorArgs, checkpoint, legacy, one_tensor};
use convert_support::zip_writer::{Entry, zip};
use convert_support::{fixture, one_line};
use rife_model::convert::{
    Checkpoint, ConvertError, ConvertOptions, Limits, convert_file, read_checkpoint,
    read_checkpoint_bytes,
};

fn read(bytes: &[u8]) -> Result<Checkpoint, ConvertError> {
    read_checkpoint_bytes(bytes, &Limits::default())
}

/// Asserts that the bytes are refused and that the message contains `words`.
#[track_caller]
fn refused(bytes: &[u8], words: &[&str]) -> ConvertError {
    let error = read(bytes).expect_err("is refused");
    let message = one_line(&error);
    for word in words {
        assert!(message.contains(word), "{message:?} does not contain {word:?}");
    }
    error
}

/// Asserts that a pickle is refused in a zip file and in a legacy file.
#[track_caller]
fn refused_pickle(pickle: &[u8], words: &[&str]) {
    refused(&checkpoint(pickle, &[0; 16]), words);
    // A legacy file must list exactly the storages that its object uses.
    let named = pickle.windows(7).any(|w| w == b"Storage");
    let storages: &[(&str, i64, &[u8])] = if named { &[("0", 4, &[0; 16])] } else { &[] };
    refused(&legacy(pickle, storages), words);
}

/// Asserts that a tensor in a zip file with 16 bytes in storage `0` is refused by name.
#[track_caller]
fn refused_tensor(tensor: &TensorArgs<'_>, words: &[&str]) {
    refused(&checkpoint(&one_tensor(tensor), &[0; 16]), &[&["\"w\""], words].concat());
}

#[test]
fn test_writers_produce_valid_checkpoints() {
    let storage: Vec<u8> = (0..16).collect();
    for bytes in [
        checkpoint(&one_tensor(&FOUR), &storage),
        legacy(&one_tensor(&FOUR), &[("0", 4, &storage)]),
    ] {
        let read = read(&bytes).expect("reads");
        let tensor = read.get("w").expect("is there");
        assert_eq!((tensor.shape(), tensor.data()), (&[2, 2][..], &storage[..]));
    }
}

#[test]
fn unknown_globals_are_refused_with_name_and_offset() {
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("__builtin__", "getattr"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("", ""),
    ] {
        let shown = format!("{module}.{name}");
        let classic =
            Pickle::new().raw(b"}").global(module, name).raw(b"(").str("touch x").raw(b"tR").stop();
        refused_pickle(&classic, &["refused global", &shown]);
        let error = refused(&checkpoint(&classic, &[]), &["archive/data.pkl at byte 3"]);
        assert!(matches!(error, ConvertError::ForbiddenGlobal { offset: 3, .. }));
        let stacked = Pickle::new().str(module).str(name).raw(b"\x93)R").stop();
        refused_pickle(&stacked, &["refused global", &shown]);
    }
    // A name with control characters, and a very long one.
    let nasty = Pickle::new().str("os\n\u{1b}[31m").str(&"x".repeat(100_000)).raw(b"\x93").stop();
    refused_pickle(&nasty, &["os\\n\\u{1b}[31m.xxx"]);
    // Allowed names cannot be called in other ways.
    refused_pickle(&Pickle::new().global("torch", "FloatStorage").raw(b")R").stop(), &["byte"]);
    refused_pickle(&Pickle::new().global("torch", "float32").raw(b")R").stop(), &["byte"]);
    refused_pickle(&Pickle::new().global("torch", "Size").raw(b")\x81").stop(), &["NEWOBJ"]);
    refused_pickle(&Pickle::new().int(5).raw(b")R").stop(), &["function to call"]);
    for opcode in [b'i', b'o', b'P', b'S', b'I', b'L', b'V', b'p', 0x82, 0x92, 0x97, 0x98, 0xff] {
        refused_pickle(&Pickle::new().raw(&[opcode, 0, 0, 0, 0, b'\n']).stop(), &["opcode 0x"]);
    }
}

#[test]
fn invalid_shapes_strides_offsets_and_sizes_are_refused_by_tensor() {
    let t = FOUR;
    refused_tensor(
        &TensorArgs { shape: &[5], stride: &[1], ..t },
        &["exceed its storage", "16 bytes"],
    );
    refused_tensor(&TensorArgs { offset: 1, ..t }, &["exceed its storage"]);
    refused_tensor(&TensorArgs { stride: &[3, 1], ..t }, &["exceed its storage"]);
    refused_tensor(&TensorArgs { stride: &[i64::MAX, 1], ..t }, &["exceed its storage"]);
    refused_tensor(&TensorArgs { offset: i64::MAX, ..t }, &["exceed its storage"]);
    refused_tensor(&TensorArgs { offset: -1, ..t }, &["negative", "-1"]);
    refused_tensor(&TensorArgs { shape: &[-2, 2], ..t }, &["negative", "shape"]);
    refused_tensor(&TensorArgs { stride: &[2, -1], ..t }, &["negative", "stride"]);
    refused_tensor(&TensorArgs { stride: &[1], ..t }, &["2 dimensions but 1 strides"]);
    refused_tensor(
        &TensorArgs { shape: &[1 << 62, 1 << 62], stride: &[0, 0], ..t },
        &["overflows"],
    );
    refused_tensor(&TensorArgs { shape: &[i64::MAX], stride: &[0], ..t }, &["limit"]);
    refused_tensor(&TensorArgs { shape: &[1; 65], stride: &[1; 65], ..t }, &["65 dimensions"]);
    refused_tensor(&TensorArgs { numel: 5, ..t }, &["declares 5", "contains 16"]);
    refused_tensor(&TensorArgs { numel: 3, ..t }, &["declares 3", "contains 16"]);
    refused_tensor(&TensorArgs { numel: i64::MAX, ..t }, &["declares", "contains 16"]);
    refused_tensor(&TensorArgs { class: "DoubleStorage", ..t }, &["of 8 bytes"]);
    refused_tensor(&TensorArgs { key: "7", ..t }, &["storage \"7\" is missing"]);
    refused_tensor(&TensorArgs { key: "../0", ..t }, &["missing"]);
    refused_tensor(&TensorArgs { class: "ComplexFloatStorage", ..t }, &["complex64"]);
    let negative = one_tensor(&TensorArgs { numel: -4, ..t });
    refused_pickle(&negative, &["negative storage size -4", "byte"]);
    let key = "k".repeat(257);
    refused_pickle(&one_tensor(&TensorArgs { key: &key, ..t }), &["storage key of 257 bytes"]);
    // Zero strides may expand a tensor up to the limit for the length of the file.
    let wide = TensorArgs { shape: &[1 << 23], stride: &[0], ..t };
    let error = refused(&checkpoint(&one_tensor(&wide), &[0; 16]), &["33554432 bytes"]);
    assert!(matches!(error, ConvertError::TooLarge { .. }));
    // Empty tensors use no elements, whatever their other dimensions are.
    let empty = TensorArgs { shape: &[0, i64::MAX, 9], stride: &[1, 1, 1], ..t };
    assert_eq!(read(&checkpoint(&one_tensor(&empty), &[0; 16])).expect("reads").len(), 1);
}

#[test]
fn malformed_pickle_errors_include_the_position() {
    let none = Pickle::new();
    refused_pickle(b"", &["PROTO"]);
    refused_pickle(b"\x80\x01N.", &["protocol 2 to 5, got 1"]);
    refused_pickle(b"\x80\x06N.", &["protocol 2 to 5, got 6"]);
    refused_pickle(&none.clone().raw(b"\x80\x02N").stop(), &["second opcode PROTO"]);
    refused_pickle(&none.clone().stop(), &["stack is empty", "byte"]);
    refused_pickle(&none.clone().raw(b"NN").stop(), &["left on the stack"]);
    refused_pickle(&none.clone().raw(b"(N").stop(), &["left on the stack"]);
    refused_pickle(&none.clone().raw(b"t").stop(), &["no MARK"]);
    refused_pickle(&none.clone().raw(b"N(0t").stop(), &["no MARK"]);
    refused_pickle(&none.clone().raw(b"N(\x85").stop(), &["too short"]);
    refused_pickle(&none.clone().raw(b"]}a").stop(), &["got a list"]);
    refused_pickle(&none.clone().raw(b"NNa").stop(), &["expected a list, got None"]);
    refused_pickle(&none.clone().raw(b"}(Nu").stop(), &["key without a value"]);
    refused_pickle(&none.clone().raw(b"]Nb").stop(), &["expected a dict, got a list"]);
    refused_pickle(&none.clone().raw(b"h\x07").stop(), &["no memo entry 7"]);
    refused_pickle(&none.clone().raw(b"j\xff\xff\xff\xff").stop(), &["no memo entry 4294967295"]);
    refused_pickle(&none.clone().raw(b"NQ").stop(), &["expected a tuple, got None"]);
    refused_pickle(&none.clone().raw(b"X\xff\xff\xff\xffab").stop(), &["4294967295 bytes"]);
    refused_pickle(&none.clone().raw(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff").stop(), &["needs"]);
    refused_pickle(&none.clone().raw(b"\x8b\xff\xff\xff\xff").stop(), &["negative length -1"]);
    refused_pickle(&none.clone().raw(b"\x95\xff\xff\xff\xff\0\0\0\0").stop(), &["frame of"]);
    refused_pickle(&none.clone().raw(b"X\x02\0\0\0\xc3\x28").stop(), &["not UTF-8"]);
    refused_pickle(&none.clone().raw(b"cos").stop(), &["name"]);
    let module = none.clone().raw(b"(").str("module").raw(b"NNNtQ").stop();
    refused_pickle(&module, &["whole module"]);
    let mut trailing = one_tensor(&FOUR);
    trailing.push(b'.');
    refused(&checkpoint(&trailing, &[0; 16]), &["1 unexpected bytes after the pickle"]);
    // A huge memo index does not allocate memory.
    let memo = none.raw(b"}r\xff\xff\xff\xff").str("w").tensor(&FOUR).raw(b"s").stop();
    assert_eq!(read(&checkpoint(&memo, &[0; 16])).expect("reads").len(), 1);
}

#[test]
fn sharing_nesting_and_recursion_cost_no_more_than_the_stream_length() {
    // Each tuple contains the previous one twice: 2^10000 leaves if it were expanded.
    let doubling = (0..10_000).fold(Pickle::new().raw(b"})"), |p, _| p.raw(b"2\x86"));
    let doubling = doubling.raw(b"0").str("w").tensor(&FOUR).raw(b"s").stop();
    assert_eq!(read(&checkpoint(&doubling, &[0; 16])).expect("reads").len(), 1);

    let deep = (0..60_000).fold(Pickle::new(), |p, _| p.raw(b"]"));
    let deep = (1..60_000).fold(deep, |p, _| p.raw(b"a")).stop();
    refused_pickle(&deep, &["expected a dict, got a list"]);
    // Deeply nested and skipped: neither reading nor dropping it recurses.
    let beside = (0..30_000).fold(Pickle::new().raw(b"}").str("x"), |p, _| p.raw(b"]"));
    let beside = (1..30_000).fold(beside, |p, _| p.raw(b"a")).raw(b"s");
    let beside = beside.str("w").tensor(&FOUR).raw(b"s").stop();
    assert_eq!(read(&checkpoint(&beside, &[0; 16])).expect("reads").skipped().len(), 1);

    let list = Pickle::new().raw(b"}").str("self").raw(b"]q\x00h\x00as");
    let list = list.str("w").tensor(&FOUR).raw(b"s").stop();
    assert_eq!(read(&checkpoint(&list, &[0; 16])).expect("reads").len(), 1);
    let dict = Pickle::new().raw(b"}q\x00").str("state_dict").raw(b"h\x00s").stop();
    refused_pickle(&dict, &["no state dict"]);
    let dict = Pickle::new().raw(b"}q\x00").str("model").raw(b"h\x00s");
    let dict = dict.str("w").tensor(&FOUR).raw(b"s").stop();
    refused_pickle(&dict, &["nested too deeply"]);

    // A long shared list of pairs, copied by many OrderedDict calls.
    let pairs = (0..2000).fold(Pickle::new().raw(b"]q\x00("), |p, _| p.raw(b"NN\x86"));
    let pairs = pairs.raw(b"e0").global("collections", "OrderedDict").raw(b"q\x010(");
    let pairs = (0..2000).fold(pairs, |p, _| p.raw(b"h\x01h\x00\x85R")).raw(b"t").stop();
    refused_pickle(&pairs, &["shared values expand"]);

    let long = Pickle::new().raw(&vec![b'N'; 400_000]).stop();
    let small = Limits { max_opcodes: 1000, ..Limits::default() };
    let error = read_checkpoint_bytes(&checkpoint(&long, &[]), &small).expect_err("is refused");
    assert!(one_line(&error).contains("more than 1000 opcodes"));
}

#[test]
fn ambiguous_state_dicts_are_refused() {
    let t = |p: Pickle, key: &str| p.str(key).tensor(&FOUR).raw(b"s");
    refused_pickle(&Pickle::new().raw(b"N").stop(), &["expected a dict, got None"]);
    refused_pickle(&Pickle::new().raw(b"}").stop(), &["dict is empty"]);
    refused_pickle(&Pickle::new().raw(b"}").str("a").int(1).raw(b"s").stop(), &["no tensors"]);
    let collision = t(t(Pickle::new().raw(b"}"), "module.a"), "a").stop();
    refused_pickle(&collision, &["\"a\"", "\"module.a\"", "module."]);
    let twice = t(t(Pickle::new().raw(b"}"), "a"), "a").stop();
    refused_pickle(&twice, &["duplicate key \"a\""]);
    refused_pickle(&t(Pickle::new().raw(b"}"), "__metadata__").stop(), &["reserves"]);
    let unnamed = Pickle::new().raw(b"}").int(3).tensor(&FOUR).raw(b"s").stop();
    refused_pickle(&unnamed, &["name of a tensor: expected a str"]);
    let inner = |p: Pickle, key: &str| t(p.str(key).raw(b"}"), "w").raw(b"s");
    let two = inner(inner(Pickle::new().raw(b"}"), "gen"), "disc").stop();
    refused_pickle(&two, &["both \"gen\" and \"disc\""]);

    let path = |p: Pickle| {
        let read = read(&checkpoint(&p.stop(), &[0; 16])).expect("reads");
        (read.state_dict_path().join("/"), read.skipped().len())
    };
    let start = || Pickle::new().raw(b"}");
    assert_eq!(path(inner(start(), "gen")), ("gen".into(), 0));
    assert_eq!(path(inner(inner(start(), "params"), "state_dict")), ("state_dict".into(), 1));
    assert_eq!(
        path(inner(start().str("model").raw(b"}"), "state_dict").raw(b"s")),
        ("model/state_dict".into(), 0)
    );
    assert_eq!(path(t(inner(start(), "model"), "step")), ("model".into(), 1));
    assert_eq!(path(t(inner(start(), "other"), "w")), (String::new(), 1));
    assert_eq!(path(inner(inner(start(), "model"), "model_ema")), ("model_ema".into(), 1));
    // The state dict of a network is preferred to other tensors, such as those of an optimizer.
    let network = |p: Pickle, key: &str| t(p.str(key).raw(b"}"), "a.weight").raw(b"s");
    let state = |p: Pickle| inner(p.str("optimizer").raw(b"}"), "state").raw(b"s");
    assert_eq!(path(state(network(start(), "gen"))), ("gen".into(), 1));
    assert_eq!(path(network(state(start()), "gen")), ("gen".into(), 1));
    assert_eq!(path(t(network(start(), "weights"), "step")), ("weights".into(), 1));
    assert_eq!(path(inner(network(start(), "model"), "ema")), ("model".into(), 1));
    assert_eq!(path(network(network(start(), "g"), "g_ema")), ("g_ema".into(), 1));
    let two = network(network(start(), "gen"), "disc").stop();
    refused_pickle(&two, &["both \"gen\" and \"disc\""]);
    // The prefix is removed only from the start of a key.
    let names = t(t(start(), "module.x.module.y"), "a.module.b").stop();
    let read = read(&checkpoint(&names, &[0; 16])).expect("reads");
    let names: Vec<_> = read.tensors().map(|(name, _)| name).collect();
    assert_eq!((names, read.module_prefixes()), (vec!["a.module.b", "x.module.y"], 1));
}

#[test]
fn damaged_and_foreign_archives_are_described() {
    let pickle = one_tensor(&FOUR);
    let with = |entries: &[Entry]| {
        let base =
            [Entry::stored("a/data.pkl", pickle.clone()), Entry::stored("a/data/0", [0; 16])];
        zip(&[&base, entries].concat())
    };
    assert_eq!(read(&with(&[])).expect("reads").len(), 1);
    refused(&with(&[Entry::stored("a/data/0", [1; 16])]), &["two entries have the same name"]);
    refused(&with(&[Entry::stored("b/data.pkl", "x")]), &["data.pkl exists in a/ and in b/"]);
    refused(
        &with(&[Entry::stored("a/byteorder", "middle\n")]),
        &["expected little or big", "middle"],
    );
    refused(&with(&[Entry::stored("a/version", "11\n")]), &["from 1 to 10", "11"]);
    refused(&with(&[Entry::stored("a/version", vec![b'9'; 100])]), &["a/version", "limit is 64"]);
    refused(&with(&[Entry::stored("a/constants.pkl", "x")]), &["TorchScript"]);
    refused(
        &zip(&[Entry::stored("word/document.xml", "x")]),
        &["without data.pkl", "word/document.xml"],
    );
    let method = Entry { method: Some(99), ..Entry::stored("a/version", "3") };
    refused(&with(&[method]), &["a/version"]);

    // A storage that unpacks to more than the limit, with true and false declared sizes.
    let numel = 64 << 18;
    let big = TensorArgs { numel, shape: &[numel], stride: &[1], ..FOUR };
    let bomb = Entry::deflated("a/data/0", vec![0; 64 << 20]);
    let file = zip(&[Entry::stored("a/data.pkl", one_tensor(&big)), bomb.clone()]);
    assert!(file.len() < 100_000);
    let error = refused(&file, &["limit"]);
    assert!(matches!(error, ConvertError::TooLarge { .. }));
    for size in [0, 16, u32::MAX] {
        let lying = Entry { size: Some(size), ..bomb.clone() };
        refused(&zip(&[Entry::stored("a/data.pkl", pickle.clone()), lying]), &["a/data/0"]);
    }
    let pickle_bomb = Entry::deflated("a/data.pkl", vec![b'N'; 64 << 20]);
    refused(&zip(&[pickle_bomb]), &["a/data.pkl", "limit"]);

    // A flipped bit in a storage is detected.
    let mut flipped = with(&[]);
    let at = flipped.windows(8).position(|w| w == [0; 8]).expect("has the storage");
    let storage = flipped.windows(8).rposition(|w| w == b"a/data/0").expect("is listed");
    assert!(at < storage);
    let start = flipped.windows(8).position(|w| w == b"a/data/0").expect("is there") + 8;
    flipped[start] ^= 1;
    refused(&flipped, &["a/data/0", "hecksum"]);
}

#[test]
fn malformed_legacy_file_errors_include_the_position() {
    let pickle = one_tensor(&FOUR);
    let data = [0_u8; 16];
    let good = legacy(&pickle, &[("0", 4, &data)]);
    refused(&legacy(&pickle, &[("0", 5, &data)]), &["expected 4 elements, got 5"]);
    refused(&legacy(&pickle, &[("0", -1, &data)]), &["expected 4 elements, got -1"]);
    refused(&legacy(&pickle, &[("0", 4, &data[..15])]), &["storage", "needs 16 bytes, got 15"]);
    refused(&legacy(&pickle, &[("1", 4, &data)]), &["no tensor uses the storage \"1\""]);
    refused(&legacy(&pickle, &[("0", 4, &data), ("0", 4, &data)]), &["duplicate storage"]);
    refused(&legacy(&pickle, &[]), &["\"w\"", "missing"]);
    refused(&[&good[..], b"x"].concat(), &["1 unexpected bytes after"]);
    let huge = one_tensor(&TensorArgs { numel: i64::MAX, ..FOUR });
    refused(&legacy(&huge, &[("0", i64::MAX, &data)]), &["larger than any file"]);
    refused(b"\x80\x02}.", &["plain pickle"]);
    refused(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02K\x01.", &["1001"]);

    // Views of storages, as in files from before PyTorch 0.4.
    let view = |from: i64, len: i64| {
        let id =
            Pickle::new().raw(b"}").str("w").global("torch._utils", "_rebuild_tensor").raw(b"((");
        let id = id.str("storage").global("torch", "IntStorage").str("0").str("cpu").int(4);
        let id = id.raw(b"(").str("v").int(from).int(len).raw(b"ttQ");
        legacy(
            &id.int(0).ints(&[len]).ints(&[1]).raw(b"tRs").stop(),
            &[("0", 4, &(0..16).collect::<Vec<u8>>())],
        )
    };
    let read = read(&view(1, 2)).expect("reads");
    assert_eq!(read.get("w").expect("is there").data(), (4..12).collect::<Vec<u8>>());
    refused(&view(3, 2), &["\"w\"", "exceeds storage \"0\""]);
    refused(&view(i64::MAX, 2), &["exceeds storage"]);
    refused(&view(-1, 2), &["negative view offset"]);
}

#[test]
fn other_file_types_are_recognised_in_the_error() {
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    let safetensors = fs::read(fixture("module.safetensors")).expect("reads");
    for (bytes, word) in [
        (&b""[..], "empty"),
        (b"x", "neither format"),
        (&tar, "tar"),
        (&safetensors, "safetensors"),
        (b"\x08\x07\x12\x07pytorch\x1a", "ONNX"),
        (b"<!DOCTYPE html>\n<html>", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "git-lfs"),
    ] {
        let error = refused(bytes, &[word]);
        assert!(matches!(error, ConvertError::NotACheckpoint { .. }));
    }
    let small = Limits { max_file_bytes: 10, ..Limits::default() };
    let error = read_checkpoint(&fixture("module.zip.ckpt"), &small).expect_err("is too large");
    assert!(one_line(&error).contains("limit is 10"));
    one_line(&read_checkpoint(Path::new("no/such\nfile"), &small).expect_err("is not there"));
    one_line(&read_checkpoint(&fixture(""), &small).expect_err("is a folder"));
}

/// The names in a folder.
fn listed(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("lists").map(|e| e.expect("lists").file_name());
    let mut names: Vec<_> = names.map(|n| n.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn output_is_complete_or_absent_and_replaced_only_with_overwrite() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (input, output) = (at("in.pth"), at("out.safetensors"));
    let plain = ConvertOptions::default();
    let overwrite = ConvertOptions { overwrite: true, ..plain.clone() };
    let convert = |options: &ConvertOptions| convert_file(&input, &output, options);

    fs::write(&input, checkpoint(&one_tensor(&TensorArgs { offset: 1, ..FOUR }), &[0; 16]))
        .expect("writes");
    let error = convert(&plain).expect_err("is damaged");
    assert!(one_line(&error).contains("in.pth"));
    assert_eq!(listed(folder.path()), ["in.pth"]);

    fs::copy(fixture("module.zip.ckpt"), &input).expect("copies");
    fs::write(&output, "precious").expect("writes");
    let error = convert(&plain).expect_err("exists");
    assert!(matches!(error.innermost(), ConvertError::OutputExists { .. }));
    one_line(&error);
    assert_eq!(fs::read(&output).expect("reads"), b"precious");
    let report = convert(&overwrite).expect("converts");
    assert_eq!(fs::metadata(&output).expect("is there").len(), report.output_bytes);
    assert_eq!(report.module_prefixes, 7);
    let header = String::from_utf8_lossy(&fs::read(&output).expect("reads")).into_owned();
    assert!(header.contains(r#"\"module_prefix_dropped\":true"#), "the prefix is recorded");

    // A failed conversion leaves an existing output unchanged.
    let before = fs::read(&output).expect("reads");
    let broken = at("broken.pth");
    fs::write(&broken, &before).expect("writes");
    one_line(&convert_file(&broken, &output, &overwrite).expect_err("is damaged"));
    assert_eq!(fs::read(&output).expect("reads"), before);

    for same in [input.clone(), folder.path().join(".").join("in.pth")] {
        let error = convert_file(&input, &same, &overwrite).expect_err("is the input");
        assert!(matches!(error.innermost(), ConvertError::SameFile { .. }));
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&input, at("link")).expect("links");
        let error = convert_file(&input, &at("link"), &overwrite).expect_err("is the input");
        assert!(matches!(error.innermost(), ConvertError::SameFile { .. }));
        fs::remove_file(at("link")).expect("removes");
    }
    one_line(&convert_file(&input, folder.path(), &overwrite).expect_err("is a folder"));
    one_line(&convert_file(&input, &at("no/such/x"), &plain).expect_err("has no folder"));
    assert_eq!(listed(folder.path()), ["broken.pth", "in.pth", "out.safetensors"]);
}
