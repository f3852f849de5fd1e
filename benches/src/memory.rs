//! Resident memory of a process, as the kernel reports it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A million bytes.
pub const MB: f64 = 1e6;

/// Returns a process's resident bytes; nothing if it has exited.
#[must_use]
pub fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// A process's memory at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Time since the first sample.
    pub at: Duration,
    /// Bytes.
    pub resident: u64,
}

/// Samples a process's memory periodically.
#[derive(Debug)]
pub struct MemorySampler {
    over: Arc<AtomicBool>,
    sampling: JoinHandle<Vec<Sample>>,
}

impl MemorySampler {
    /// Starts sampling.
    #[must_use]
    pub fn start(process: u32, every: Duration) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&over);
        let sampling = thread::spawn(move || {
            let since = Instant::now();
            let mut samples = Vec::new();
            // At least one sample, however early it is stopped.
            while let Some(resident) = resident(process) {
                samples.push(Sample { at: since.elapsed(), resident });
                if end.load(Ordering::Relaxed) {
                    break;
                }
                thread::sleep(every);
            }
            samples
        });
        Self { over, sampling }
    }

    /// Stops and returns the samples.
    ///
    /// # Panics
    /// When sampling panicked.
    #[must_use]
    pub fn stop(self) -> Vec<Sample> {
        self.over.store(true, Ordering::Relaxed);
        self.sampling.join().expect("looking does not panic")
    }
}

/// Returns the maximum.
#[must_use]
pub fn most(samples: &[Sample]) -> f64 {
    samples.iter().map(|sample| sample.resident).max().unwrap_or_default() as f64
}

/// Returns the growth in bytes per minute, by linear least squares.
#[must_use]
pub fn slope(samples: &[Sample]) -> f64 {
    let count = samples.len().max(1) as f64;
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let minutes = |sample: &Sample| sample.at.as_secs_f64() / 60.0;
    let bytes = |sample: &Sample| sample.resident as f64;
    let (at, level) = (mean(&minutes), mean(&bytes));
    let both = mean(&|sample| (minutes(sample) - at) * (bytes(sample) - level));
    let spread = mean(&|sample| (minutes(sample) - at).powi(2));
    if spread == 0.0 { 0.0 } else { both / spread }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_slope() {
        let sample = |minute: u64| Sample {
            at: Duration::from_secs(minute * 60),
            resident: 5_000_000 + minute * 1000,
        };
        let samples: Vec<Sample> = (0..5).map(sample).collect();
        assert!((slope(&samples) - 1000.0).abs() < 1e-3);
        assert!((most(&samples) - 5_004_000.0).abs() < 1e-3);
        assert!(slope(&samples[..1]).abs() < 1e-3);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident(std::process::id()).is_some_and(|bytes| bytes > 100_000));
        let samples = MemorySampler::start(std::process::id(), Duration::from_millis(1));
        assert!(!samples.stop().is_empty());
    }
}
