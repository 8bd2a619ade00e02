//! Memory and CPU time of the process.

use std::time::{Duration, Instant};

use crate::plan::cores;

/// Peak resident memory of the process since it was started.
///
/// On Linux the kernel keeps the high-water mark (`VmHWM`). It is reset at the start, so that no
/// peak is missed and each run has its own. If resetting is not permitted, the mark belongs to the
/// whole process, and [`PeakMemory::is_of_run`] is false. Elsewhere resident memory is sampled
/// after each frame, and a peak within a frame can be missed.
#[derive(Debug)]
pub struct PeakMemory {
    before_mib: f64,
    highest_seen_mib: f64,
    is_of_run: bool,
}

impl PeakMemory {
    /// Starts a new measurement, after returning freed memory to the system.
    pub fn start() -> Self {
        return_free_memory();
        let is_of_run = system::reset_peak();
        let before_mib = system::resident_mib();
        Self { before_mib, highest_seen_mib: before_mib, is_of_run }
    }

    /// Samples resident memory if the system keeps no high-water mark.
    pub fn observe(&mut self) {
        if !system::KEEPS_PEAK {
            self.highest_seen_mib = self.highest_seen_mib.max(system::resident_mib());
        }
    }

    /// Resident memory at the start, in MiB.
    pub const fn before_mib(&self) -> f64 {
        self.before_mib
    }

    /// Peak, in MiB.
    pub fn peak_mib(&self) -> f64 {
        system::peak_mib().unwrap_or(self.highest_seen_mib)
    }

    /// Current resident memory, in MiB.
    pub fn now_mib(&self) -> f64 {
        system::resident_mib()
    }

    /// Whether the peak is since the start; else it is since the process began.
    pub const fn is_of_run(&self) -> bool {
        self.is_of_run
    }
}

/// Makes all threads share one heap. It is the only heap whose free memory the C library can
/// return: memory kept by other heaps would be counted towards the next configuration. Call it
/// before starting threads.
pub fn share_one_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets a number that the C library reads when a thread allocates for the first time.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Returns free memory, which the C library would keep, to the system.
fn return_free_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes its own locks and touches only free memory.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs;

    pub const KEEPS_PEAK: bool = true;

    pub fn reset_peak() -> bool {
        // "5" resets the high-water mark, see proc_pid_clear_refs(5).
        fs::write("/proc/self/clear_refs", "5").is_ok()
    }

    pub fn resident_mib() -> f64 {
        status_mib("VmRSS:").unwrap_or(0.0)
    }

    pub fn peak_mib() -> Option<f64> {
        status_mib("VmHWM:")
    }

    fn status_mib(key: &str) -> Option<f64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib / 1024.0)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

    pub const KEEPS_PEAK: bool = false;

    pub fn reset_peak() -> bool {
        true
    }

    pub fn resident_mib() -> f64 {
        let (Ok(pid), Ok(mut system)) = (sysinfo::get_current_pid(), System::new()) else {
            return 0.0;
        };
        let kind = ProcessRefreshKind::nothing().with_memory();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, kind);
        system.process(pid).map_or(0.0, |process| process.memory() as f64 / (1 << 20) as f64)
    }

    pub fn peak_mib() -> Option<f64> {
        None
    }
}

/// CPU time of the process relative to wall time.
#[derive(Debug)]
pub struct CpuClock {
    wall: Instant,
    cpu: Duration,
}

impl CpuClock {
    /// Starts both clocks.
    pub fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu_time() }
    }

    /// CPU time of all threads since the start, in % of what all cores could provide.
    pub fn percent_of_all_cores(&self) -> f64 {
        let cpu = cpu_time().saturating_sub(self.cpu).as_secs_f64();
        100.0 * cpu / (self.wall.elapsed().as_secs_f64() * cores() as f64)
    }
}

#[cfg(unix)]
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

#[cfg(not(unix))]
fn cpu_time() -> Duration {
    use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};
    let (Ok(pid), Ok(mut system)) = (sysinfo::get_current_pid(), System::new()) else {
        return Duration::ZERO;
    };
    let kind = ProcessRefreshKind::nothing().with_cpu();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, kind);
    let ms = system.process(pid).map_or(0, |process| process.accumulated_cpu_time());
    Duration::from_millis(ms)
}

#[cfg(test)]
mod tests {
    use rife_testkit::own_process;

    use super::*;

    #[test]
    fn peak_includes_freed_memory() {
        own_process!(peak_includes_freed_memory);
        let mut peak = PeakMemory::start();
        let block = std::hint::black_box(vec![1u8; 64 << 20]);
        peak.observe();
        drop(block);
        assert!(peak.peak_mib() >= 64.0, "{peak:?}");
        if peak.is_of_run() {
            assert!(peak.peak_mib() >= peak.before_mib() + 48.0, "{peak:?}");
        }
    }

    /// Memory that one configuration freed must not count towards the next one.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn freed_memory_is_returned_to_the_system() {
        own_process!(freed_memory_is_returned_to_the_system);
        // Blocks too small to be mapped by themselves, so that the C library keeps them.
        let blocks: Vec<Vec<u8>> = (0..4096).map(|_| vec![1; 32 << 10]).collect();
        let before = PeakMemory::start().before_mib();
        drop(std::hint::black_box(blocks));
        assert!(PeakMemory::start().before_mib() < before - 100.0);
    }

    #[test]
    fn cpu_time_of_a_busy_thread_is_relative_to_all_cores() {
        own_process!(cpu_time_of_a_busy_thread_is_relative_to_all_cores);
        let busy = Duration::from_millis(60);
        let (begun, clock) = (Instant::now(), CpuClock::start());
        let before = cpu_time();
        let mut x = 1u64;
        // CPU time, as elapsed time depends on what else runs on the machine.
        while cpu_time() - before < busy {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        let percent = clock.percent_of_all_cores();
        let all = begun.elapsed().as_secs_f64() * cores() as f64;
        let least = 100.0 * busy.as_secs_f64() / all;
        assert!(percent >= 0.99 * least, "{percent} % is less than {least} %");
        assert!(percent <= 101.0, "{percent} %");
    }
}
