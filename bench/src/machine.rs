//! The machine: who runs on which core, what a process uses, what a flush costs.

use crate::{Result, args::Args, load::Sample};
use std::{
    fs,
    io::Write,
    path::Path,
    process::{self, Command},
    time::{Duration, Instant},
};

/// What one commit of a database flushes, roughly.
const PAGE: usize = 4096;

/// Which processor cores the two sides have, as `taskset` writes them.
#[derive(Debug)]
pub struct Cores {
    pub server: String,
    pub load: String,
}

impl Cores {
    /// The first core that this process may use is the server's, the others are the load's.
    pub fn find() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default().trim();
        let all: Vec<usize> = list.split(',').flat_map(span).collect();
        let [server, load @ ..] = all.as_slice() else { return Err("the kernel lists no processor core".into()) };
        if load.is_empty() {
            return Err("two processor cores are needed: one for the server, one for the load".into());
        }
        let load = load.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        Ok(Self { server: server.to_string(), load })
    }

    /// Moves this process, and what it starts from now on, to the server's core.
    pub fn take_server(&self) -> Result<()> {
        pin(&self.server)
    }

    /// Moves it to the load's cores.
    pub fn take_load(&self) -> Result<()> {
        pin(&self.load)
    }
}

/// `3` or `0-7`.
fn span(text: &str) -> std::ops::RangeInclusive<usize> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) => first..=last,
        _ => std::ops::RangeInclusive::new(1, 0),
    }
}

fn pin(cores: &str) -> Result<()> {
    let missing = |error| format!("taskset does not start ({error}): install it (Debian: util-linux)");
    let done = Command::new("taskset").args(["-cp", cores, &process::id().to_string()]).output().map_err(missing)?;
    match done.status.success() {
        true => Ok(()),
        false => Err(format!("taskset refuses: {}", String::from_utf8_lossy(&done.stderr).trim()).into()),
    }
}

/// What a reader must know to compare the table with another.
pub fn facts(args: &Args, pixel: &Path, cores: &Cores) -> Result<Vec<String>> {
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned());
    let cpuinfo = read("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    let kind = filesystem(&args.folder)?;
    if matches!(kind.as_str(), "tmpfs" | "ramfs") {
        let folder = args.folder.display();
        return Err(format!("{folder} is in memory, where a flush costs nothing: choose a disk with --folder").into());
    }
    let load = read("/proc/loadavg")?.split(' ').next().unwrap_or_default().to_owned();
    let mut facts = vec![
        format!(
            "{} cores, {}",
            std::thread::available_parallelism()?,
            model.map_or("unknown", |(_, name)| name.trim())
        ),
        format!("kernel {}, databases on {kind}", read("/proc/sys/kernel/osrelease")?),
        format!(
            "server on core {}, load and vendor stub on {}; load average before the run {load}",
            cores.server, cores.load
        ),
        format!("medians of {} × {:?}; binary {}", args.runs(), args.length(), pixel.display()),
    ];
    if args.is_quick() {
        facts.push("QUICK: shows that the bench works; the figures mean nothing".to_owned());
    }
    Ok(facts)
}

/// The kind of the file system that holds a folder.
fn filesystem(folder: &Path) -> Result<String> {
    let folder = folder.canonicalize().map_err(|error| format!("{}: {error}", folder.display()))?;
    let mounts = fs::read_to_string("/proc/mounts")?;
    let entries = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let holding = entries.filter(|(at, _)| folder.starts_with(at));
    // Of equals the last one lies on top.
    let nearest = holding.max_by_key(|(at, _)| at.len());
    Ok(nearest.map_or("an unknown file system", |(_, kind)| kind).to_owned())
}

/// A process as the kernel accounts for it.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// Resident memory in MiB: now, and at its most.
    pub fn memory(self) -> Result<(f64, f64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let field = |name: &str| {
            let text = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
            let kib = text.and_then(|text| text.trim().parse::<f64>().ok());
            kib.map(|kib| kib / 1024.0).ok_or_else(|| format!("the kernel does not tell {name} of {}", self.0))
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Processor time so far.
    pub fn busy(self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name in brackets may hold spaces; user and system time are the 12th and 13th after it.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        // Linux counts these in hundredths of a second, whatever its own clock does.
        Ok(Duration::from_millis(ticks * 10))
    }
}

/// Appends a page and flushes it, again and again.
pub fn flushes(folder: &Path, length: Duration) -> Result<String> {
    let mut file = tempfile::tempfile_in(folder)?;
    let page = [7_u8; PAGE];
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < length {
        let start = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    let Sample { rate, p50, p99 } = Sample::of(times, length)?;
    Ok(format!("append 4 KiB and fdatasync: {rate:.0}/s, p50 {p50:.2} ms, p99 {p99:.2} ms"))
}
