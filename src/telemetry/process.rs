use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// What the kernel knows of this process, read at each scrape under the names that Prometheus's own
/// clients use. On systems without /proc there is nothing to tell.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(reading) = Reading::take() else { return Ok(()) };
        let mut put = |name: &str, help: &str, metric: &dyn Metric| metric.put(name, help, &mut encoder);
        put("process_cpu_seconds", "CPU time of the process", &ConstCounter::new(reading.cpu_seconds))?;
        put("process_resident_memory_bytes", "Memory that is in RAM", &ConstGauge::new(reading.resident_bytes))?;
        put("process_threads", "Threads of the process", &ConstGauge::new(reading.threads))?;
        put("process_start_time_seconds", "When the process started", &ConstGauge::new(reading.start_seconds))?;
        put("process_open_fds", "Open files and sockets", &ConstGauge::new(reading.open_files))?;
        put("process_max_fds", "Files and sockets that may be open", &ConstGauge::new(reading.open_files_max))
    }
}

/// `EncodeMetric` as an object: its own methods are generic.
trait Metric {
    fn put(&self, name: &str, help: &str, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result;
}

impl<M: EncodeMetric> Metric for M {
    fn put(&self, name: &str, help: &str, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.encode(encoder.encode_descriptor(name, help, None, self.metric_type())?)
    }
}

struct Reading {
    cpu_seconds: f64,
    resident_bytes: i64,
    threads: i64,
    start_seconds: f64,
    open_files: i64,
    open_files_max: i64,
}

impl Reading {
    /// The numbers are those of proc_pid_stat(5); the name in parentheses may hold spaces, so fields are
    /// counted from behind it.
    fn take() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number.checked_sub(3)?)?.parse::<f64>().ok();
        let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / ticks_per_second,
            resident_bytes: field(24)? as i64 * i64::try_from(rustix::param::page_size()).ok()?,
            threads: field(20)? as i64,
            start_seconds: boot_seconds()? + field(22)? / ticks_per_second,
            open_files: i64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()?,
            open_files_max: open_files_max()?,
        })
    }
}

fn boot_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn open_files_max() -> Option<i64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_can_be_read_and_its_numbers_are_plausible() {
        let reading = Reading::take().expect("a /proc");
        assert!(reading.resident_bytes > 1 << 20);
        assert!(reading.threads >= 1);
        assert!(reading.open_files >= 3 && reading.open_files <= reading.open_files_max);
        assert!(reading.start_seconds > 1.7e9);
    }
}
