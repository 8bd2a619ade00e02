//! Mutated checkpoints: reading never panics, stays within the documented memory bounds, and returns
//! a one-line error or a well-formed checkpoint.
//!
//! `CONVERT_MUTATIONS` (default 120000) sets the number of mutations, `CONVERT_SEED` the seed.

mod convert_support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use convert_support::pickle_writer::{FOUR, Pickle, TensorArgs, checkpoint, legacy, one_tensor};
use convert_support::shrink::Small;
use convert_support::zip_writer::{Entry, zip};
use convert_support::{fixture, one_line, real_checkpoint};
use rife_model::convert::{
    Checkpoint, ConvertError, Limits, read_checkpoint, read_checkpoint_bytes,
};

/// Counts the allocations of each thread, so that concurrent tests do not affect each other.
struct Counting;

thread_local! {
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

fn count(bytes: i64) {
    let live = LIVE.get() + bytes;
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

// SAFETY: every call is forwarded to the system allocator unchanged. The counters are thread-local
// cells without destructors, so accessing them does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller upholds the contract of the same function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller upholds the contract of the same function.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: the caller upholds the contract of the same function.
        unsafe { System.dealloc(ptr, layout) }
    }

    // The default `realloc` allocates, copies and frees, so both blocks are counted.
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The memory bound for a file of `len` bytes, in bytes: see `Limits`.
fn memory_bound(len: usize) -> i64 {
    (160 * len + (48 << 20)) as i64
}

/// Limit of this thread's CPU time for reading a small file, which takes microseconds.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// CPU time of this thread, which does not depend on what else runs on the machine.
#[cfg(unix)]
fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(not(unix))]
fn now() -> Duration {
    static BEGUN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    BEGUN.elapsed()
}

/// The result of reading and its peak memory in bytes. Checks everything that must hold for any
/// bytes.
fn read(bytes: &[u8]) -> (Result<Checkpoint, ConvertError>, i64) {
    let before = LIVE.get();
    PEAK.set(before);
    let started = now();
    let result = read_checkpoint_bytes(bytes, &Limits::default());
    let (elapsed, peak) = (now() - started, PEAK.get() - before);
    assert!(elapsed < TIME_LIMIT, "{} bytes took {elapsed:?}", bytes.len());
    assert!(peak <= memory_bound(bytes.len()), "{} bytes used {peak} bytes", bytes.len());
    match &result {
        Ok(checkpoint) => {
            assert!(!checkpoint.is_empty());
            let mut total = 0;
            for (name, tensor) in checkpoint.tensors() {
                let numel: usize = tensor.shape().iter().product();
                assert_eq!(tensor.data().len(), numel * tensor.dtype().size(), "{name:?}");
                assert!(std::ptr::eq(checkpoint.get(name).expect("is there"), tensor));
                total += tensor.data().len();
            }
            assert!(total <= 8 * bytes.len() + (16 << 20));
        }
        Err(error) => drop(one_line(error)),
    }
    (result, peak)
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Applies one to four mutations to `bytes[from..to]`.
    fn mutate(&mut self, bytes: &mut Vec<u8>, from: usize, to: usize) {
        const OPCODES: &[u8] = b"().012BCGJKMNQRTUX]abcdehjlqrstu}\x80\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x93\x94\x95\x96";
        const NUMBERS: &[u64] = &[
            0,
            1,
            2,
            0x7f,
            0x80,
            0xff,
            0x7fff,
            0xffff,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_fffe,
            0xffff_ffff,
            1 << 32,
            i64::MAX as u64,
            1 << 63,
            u64::MAX,
        ];
        for _ in 0..=self.below(4) {
            let to = to.min(bytes.len());
            if from >= to {
                return;
            }
            let at = from + self.below(to - from);
            let end = (at + 1 + self.below(24)).min(bytes.len());
            match self.below(12) {
                0 | 1 => bytes[at] ^= 1 << self.below(8),
                2 => bytes[at] = self.next() as u8,
                3 => bytes[at] = self.pick(&[0, 1, 0x7f, 0x80, 0xfe, 0xff]),
                4 | 5 => bytes[at] = self.pick(OPCODES),
                6 => bytes.insert(at, self.pick(OPCODES)),
                7 => drop(bytes.drain(at..end)),
                8 => {
                    let copy = bytes[at..end].to_vec();
                    let other = from + self.below(to - from);
                    bytes.splice(other..other, copy);
                }
                9 => {
                    let other = from + self.below(to - from);
                    bytes.swap(at, other);
                }
                10 => {
                    let width = self.pick(&[1, 2, 4, 8]);
                    let number = self.pick(NUMBERS).to_le_bytes();
                    let end = (at + width).min(bytes.len());
                    bytes[at..end].copy_from_slice(&number[..end - at]);
                }
                _ => {
                    if self.below(4) == 0 {
                        bytes.truncate(at);
                    } else {
                        bytes[at] = bytes[at].wrapping_add(self.pick(&[1, 0xff]));
                    }
                }
            }
        }
    }
}

/// A name and a function that creates one mutated checkpoint.
type Family<'a> = (&'static str, Box<dyn Fn(&mut Random) -> Vec<u8> + Sync + 'a>);

#[test]
fn shrunk_checkpoints_have_the_tensors_of_the_originals() {
    for (version, at_least) in [("4.6", 70), ("4.26", 100)] {
        let path = real_checkpoint(version);
        let real = read_checkpoint(&path, &Limits::default()).expect("reads");
        let small = Small::of(&path, 256, usize::MAX);
        assert!(small.names.len() >= at_least, "{}", small.names.len());
        for bytes in [zip(&small.entries(small.pickle.clone())), small.legacy(&small.pickle)] {
            let read = read_checkpoint_bytes(&bytes, &Limits::default()).expect("reads");
            assert_eq!(read.len(), small.names.len());
            for (name, tensor) in read.tensors() {
                let original = real.get(name).expect("is there");
                assert_eq!((tensor.shape(), tensor.data()), (original.shape(), original.data()));
            }
        }
    }
}

#[test]
fn mutated_checkpoints_are_read_or_refused_with_one_line() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("is a number"))
    };
    let (total, seed) = (number("CONVERT_MUTATIONS", 120_000), number("CONVERT_SEED", 1));

    let wide = ["4.6", "4.26"].map(|v| Small::of(&real_checkpoint(v), 256, 40));
    let tiny = ["4.6", "4.26"].map(|v| Small::of(&real_checkpoint(v), 256, 6));
    let whole =
        ["4.6", "4.26"].map(|v| Small::of(&real_checkpoint(v), u64::MAX, usize::MAX).pickle);
    // The positions of the headers in a small archive.
    let archives = tiny.clone().map(|small| {
        let bytes = zip(&small.entries(small.pickle.clone()));
        let mut headers = Vec::new();
        for (i, window) in bytes.windows(4).enumerate() {
            let len = match window {
                b"PK\x03\x04" => 64,
                b"PK\x01\x02" => 80,
                b"PK\x05\x06" => 22,
                _ => continue,
            };
            headers.push((i, i + len));
        }
        (bytes, headers)
    });
    let fixtures = [
        "dtypes.protocol4.ckpt",
        "layouts.deflated.ckpt",
        "layouts.legacy.ckpt",
        "nested.protocol4.ckpt",
        "nested.legacy.ckpt",
        "attributes.legacy.ckpt",
        "module.zip.ckpt",
    ]
    .map(|name| std::fs::read(fixture(name)).expect("reads"));

    let families: [Family<'_>; 5] = [
        // The pickle of a shrunk checkpoint, in an archive with correct checksums.
        (
            "pickle",
            Box::new(|random| {
                let small = &wide[random.below(2)];
                let mut pickle = small.pickle.clone();
                let end = pickle.len();
                random.mutate(&mut pickle, 0, end);
                zip(&small.entries(pickle))
            }),
        ),
        // The whole published pickle, with some of the storages.
        (
            "whole pickle",
            Box::new(|random| {
                let i = random.below(2);
                let mut pickle = whole[i].clone();
                let end = pickle.len();
                random.mutate(&mut pickle, 0, end);
                zip(&tiny[i].entries(pickle))
            }),
        ),
        (
            "archive",
            Box::new(|random| {
                let (bytes, headers) = &archives[random.below(2)];
                let mut bytes = bytes.clone();
                for _ in 0..=random.below(3) {
                    let (from, to) = headers[random.below(headers.len())];
                    random.mutate(&mut bytes, from, to);
                }
                bytes
            }),
        ),
        (
            "legacy",
            Box::new(|random| {
                let small = &tiny[random.below(2)];
                let mut bytes = small.legacy(&small.pickle);
                // The pickles, the keys and the first count; sometimes anywhere.
                let end = if random.below(8) == 0 { bytes.len() } else { small.pickle.len() + 120 };
                random.mutate(&mut bytes, 0, end);
                bytes
            }),
        ),
        (
            "fixture",
            Box::new(|random| {
                let mut bytes = fixtures[random.below(fixtures.len())].clone();
                let end = bytes.len();
                random.mutate(&mut bytes, 0, end);
                bytes
            }),
        ),
    ];

    let threads = 2;
    let run = |thread: u64| {
        let mut results = [[0_u64; 2]; 5];
        let mut worst = 0;
        for i in (thread..total).step_by(threads) {
            let family = (i / 2 % 5) as usize;
            let mut random = Random(seed.wrapping_mul(1 << 32).wrapping_add(i));
            let bytes = families[family].1(&mut random);
            match catch_unwind(AssertUnwindSafe(|| read(&bytes))) {
                Ok((result, peak)) => {
                    results[family][usize::from(result.is_ok())] += 1;
                    worst = worst.max(peak);
                }
                Err(_) => {
                    let prefix = format!("convert-{seed}-{i}-");
                    let file = tempfile::Builder::new().prefix(&prefix).suffix(".ckpt").tempfile();
                    let (_, path) = file.and_then(|file| Ok(file.keep()?)).expect("a file");
                    std::fs::write(&path, &bytes).expect("writes");
                    let name = families[family].0;
                    panic!("mutation {i} of seed {seed} ({name}), saved as {}", path.display());
                }
            }
        }
        (results, worst)
    };
    let started = Instant::now();
    let done: Vec<_> = std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..threads as u64).map(|t| scope.spawn(move || run(t))).collect();
        threads.into_iter().map(|t| t.join().expect("no mutation panics")).collect()
    });
    for (family, (name, _)) in families.iter().enumerate() {
        let sum = |ok: usize| done.iter().map(|(results, _)| results[family][ok]).sum::<u64>();
        let (refused, read) = (sum(0), sum(1));
        eprintln!("{name}: {refused} refused, {read} read");
        assert!(total < 10_000 || refused > 1000, "{name}: the mutations have no effect");
    }
    let worst = done.iter().map(|(_, worst)| worst).max().expect("two threads");
    eprintln!("{total} mutations in {:?}; peak memory {worst} bytes", started.elapsed());
}

#[test]
fn memory_is_bounded_by_file_length_for_hostile_files() {
    let repeat = |prefix: &[u8], unit: &[u8], count: usize| {
        let start = Pickle::new().raw(prefix);
        (0..count).fold(start, |p, _| p.raw(unit)).stop()
    };
    // Just above a power of two, where a growing vector doubles its capacity.
    let n = (1 << 20) + 8;
    // One repeated opcode: its worst-case cost.
    let mut pickles = vec![
        ("None", repeat(b"", b"N", n)),
        ("empty lists", repeat(b"", b"]", n)),
        ("empty dicts", repeat(b"", b"}", n)),
        ("marks", repeat(b"", b"(", n)),
        ("memos", repeat(b"N", b"\x94", n)),
        ("marked lists", repeat(b"", b"(l", n / 2)),
        ("tuples", repeat(b"N", b"\x85", n)),
        ("doubled tuples", repeat(b"N", b"2\x86", n / 2)),
        ("appended dicts", repeat(b"]", b"}a", n / 2)),
        ("long memo indices", repeat(b"N", b"r\xff\xff\xff\xfe", n / 5)),
        (
            "shared tuples",
            repeat(&[b"(" as &[u8], &[b'N'; 1000], b"tq\x000"].concat(), b"h\x00", n / 2),
        ),
    ];
    // One repeated storage and one repeated tensor.
    let id = Pickle::new().raw(b"(").str("storage").global("torch", "FloatStorage");
    let id = id.str("0").str("cpu").int(4).raw(b"tq\x000").0;
    pickles.push(("storages", repeat(&id[2..], b"h\x00Q", n / 3)));
    let parts = Pickle::new().global("torch._utils", "_rebuild_tensor").raw(b"q\x010(");
    let parts = parts.raw(b"h\x00Q").int(0).ints(&[2, 2]).ints(&[2, 1]).raw(b"tq\x020").0;
    let rebuild = [&id[2..], &parts[2..]].concat();
    pickles.push(("tensors", repeat(&rebuild, b"h\x01h\x02R", n / 5)));
    // Many names for one tensor.
    let named = Pickle::new().raw(b"}").str("w").tensor(&FOUR).raw(b"q\x03s(");
    let named = (0..n / 12).fold(named, |p, i| p.str(&format!("{i:05}")).raw(b"h\x03")).raw(b"u");
    let named = named.stop();
    pickles.push(("names", named));

    for (name, pickle) in &pickles {
        for (kind, bytes) in [
            ("zip", checkpoint(pickle, &[0; 16])),
            (
                "deflated",
                zip(&[
                    Entry::deflated("a/data.pkl", pickle.clone()),
                    Entry::stored("a/data/0", [0; 16]),
                ]),
            ),
            ("legacy", legacy(pickle, &[("0", 4, &[0; 16])])),
        ] {
            let (result, peak) = read(&bytes);
            let outcome = result.map_or_else(|e| e.to_string(), |c| format!("{} tensors", c.len()));
            eprintln!("{name}, {kind}: {} bytes used {peak}: {outcome}", bytes.len());
        }
    }

    // Decompression bombs with true and false sizes.
    let tensor = |numel: i64, shape: &[i64], stride: &[i64]| {
        one_tensor(&TensorArgs { numel, shape, stride, ..FOUR })
    };
    let zeros = vec![0; 64 << 20];
    let bomb = |size: Option<u32>, pickle: Vec<u8>| {
        let data = Entry { size, ..Entry::deflated("a/data/0", zeros.clone()) };
        zip(&[Entry::stored("a/data.pkl", pickle), data])
    };
    for bytes in [
        bomb(None, tensor(16 << 20, &[16 << 20], &[1])),
        bomb(Some(16), tensor(4, &[4], &[1])),
        bomb(Some(15 << 20), tensor(4, &[4], &[1])),
        bomb(Some(u32::MAX), tensor(4, &[4], &[1])),
        checkpoint(&tensor(4, &[1 << 40], &[0]), &[0; 16]),
        checkpoint(&tensor(4, &[1 << 22, 2], &[0, 1]), &[0; 16]),
        checkpoint(&tensor(4, &[4 << 20], &[0]), &[0; 16]),
        checkpoint(&tensor(1 << 60, &[1 << 60], &[1]), &[0; 16]),
    ] {
        let (result, peak) = read(&bytes);
        let outcome = result.map_or_else(|e| e.to_string(), |c| format!("{} tensors", c.len()));
        eprintln!("bomb: {} bytes used {peak}: {outcome}", bytes.len());
    }

    // End records that each refer to a long directory with a damaged end.
    let mut tangle = b"PK\x03\x04".to_vec();
    for _ in 0..20_000 {
        tangle.extend(b"PK\x01\x02");
        tangle.extend([0; 42]);
    }
    for i in 0..2900_u32 {
        tangle.extend(b"PK\x05\x06\0\0\0\0\xff\x7f\xff\x7f");
        tangle.extend((46 * 20_000_u32).to_le_bytes());
        tangle.extend((4 + 46 * i).to_le_bytes());
        tangle.extend([0, 0]);
    }
    let (result, peak) = read(&tangle);
    eprintln!("tangle: {} bytes used {peak}: {}", tangle.len(), result.expect_err("is damaged"));
}
