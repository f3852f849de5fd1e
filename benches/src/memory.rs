//! The memory of a process, as the kernel sees it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A million bytes.
pub const MB: f64 = 1e6;

/// The bytes that a process has in memory; nothing where it is gone.
#[must_use]
pub fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// The memory of a process at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Since the first look.
    pub at: Duration,
    /// Bytes.
    pub resident: u64,
}

/// Looks at a process's memory again and again.
#[derive(Debug)]
pub struct Watch {
    over: Arc<AtomicBool>,
    looking: JoinHandle<Vec<Sample>>,
}

impl Watch {
    /// Begins.
    #[must_use]
    pub fn start(process: u32, every: Duration) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&over);
        let looking = thread::spawn(move || {
            let since = Instant::now();
            let mut samples = Vec::new();
            // At least once, however soon it is over.
            while let Some(resident) = resident(process) {
                samples.push(Sample { at: since.elapsed(), resident });
                if end.load(Ordering::Relaxed) {
                    break;
                }
                thread::sleep(every);
            }
            samples
        });
        Self { over, looking }
    }

    /// Ends and returns what was seen.
    ///
    /// # Panics
    /// When looking panicked.
    #[must_use]
    pub fn stop(self) -> Vec<Sample> {
        self.over.store(true, Ordering::Relaxed);
        self.looking.join().expect("looking does not panic")
    }
}

/// The most of these.
#[must_use]
pub fn most(samples: &[Sample]) -> f64 {
    samples.iter().map(|sample| sample.resident).max().unwrap_or_default() as f64
}

/// Bytes a minute by which memory grows: the straight line with the least
/// squares.
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
        let samples = Watch::start(std::process::id(), Duration::from_millis(1));
        assert!(!samples.stop().is_empty());
    }
}
