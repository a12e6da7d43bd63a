//! What the figures were measured on: processor, memory, system and versions, as one line.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::child::measure;
use super::sides::Bench;

/// Prints Python's versions.
const VERSIONS: &str = "import platform, onnxruntime, PIL, numpy
print(f'Python {platform.python_version()} (onnxruntime {onnxruntime.__version__}, \
Pillow {PIL.__version__}, NumPy {numpy.__version__})')";

/// A function's name that libjpeg-turbo's SIMD extension has, on every processor.
const JPEG_SIMD: &[u8] = b"jsimd_idct_islow_";

/// A machine and what runs on it.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    cpu: String,
    /// `avx512`, `avx2`, `neon` or `any`, as the program says it.
    cpu_class: String,
    /// Processors that we may use.
    cores: usize,
    /// Memory in bytes; none where the system does not say.
    memory: Option<u64>,
    /// Operating system and architecture.
    system: String,
    /// Our versions.
    dermai: String,
    /// Whether our JPEG decoder was built with SIMD, which takes `nasm` on `x86_64`.
    jpeg_simd: bool,
    /// Python's.
    python: String,
    /// Tasks that wanted a processor in the minute before the measurement.
    load: Option<f64>,
}

impl Machine {
    /// Looks at the machine and asks both sides for their versions.
    pub fn look(bench: &Bench) -> Result<Self> {
        let mut probe = bench.dermai();
        probe.args(["predict", "--jsonl"]).arg(bench.sample());
        let answer = measure(&mut probe)?.expect(0, &probe)?.stdout;
        let head: Head = serde_json::from_str(&answer).context("`dermai predict --jsonl` gave another format")?;
        let mut versions = bench.python.command();
        versions.args(["-c", VERSIONS]);
        let python = measure(&mut versions)?.expect(0, &versions)?.stdout.trim().to_owned();
        let kilobytes = line("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Ok(Self {
            cpu: cpu_name().unwrap_or_else(|| "unknown processor".into()),
            cpu_class: head.model.cpu,
            cores: bench.threads,
            memory: kilobytes.map(|kilobytes| kilobytes << 10),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            jpeg_simd: holds(&bench.binary, JPEG_SIMD)?,
            dermai: format!("dermai {} (ONNX Runtime {})", head.dermai, head.model.runtime),
            python,
            load: load(),
        })
    }

    /// Says so when others use the machine: their work ends up in our figures.
    pub fn warning(&self) -> Option<String> {
        let load = self.load.filter(|load| *load > 0.3 * self.cores as f64)?;
        Some(format!("the machine is not idle (load {load:.1} on {} cores): times are less certain", self.cores))
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cpu_class, cores, memory, system, dermai, jpeg_simd, python, .. } = self;
        write!(f, "{cpu} ({cpu_class}), {cores} cores, ")?;
        if let Some(bytes) = memory {
            write!(f, "{:.0} GB, ", *bytes as f64 / f64::from(1 << 30))?;
        }
        let jpeg = if *jpeg_simd { "with" } else { "without" };
        write!(f, "{system}; {dermai}, JPEG {jpeg} SIMD; {python}")
    }
}

/// Linux and macOS say it in different places.
fn cpu_name() -> Option<String> {
    line("/proc/cpuinfo", "model name").or_else(|| {
        let said = Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]).output().ok()?;
        Some(String::from_utf8(said.stdout).ok()?.trim().to_owned()).filter(|name| !name.is_empty())
    })
}

/// Whether a file has these bytes in it.
fn holds(file: &Path, wanted: &[u8]) -> Result<bool> {
    let bytes = fs::read(file).with_context(|| format!("`{}` cannot be read", file.display()))?;
    Ok(bytes.windows(wanted.len()).any(|bytes| bytes == wanted))
}

/// What follows `name:` in a file of the kernel's.
fn line(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// The start of a line of `dermai predict --jsonl`.
#[derive(Deserialize)]
struct Head {
    dermai: String,
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    runtime: String,
    cpu: String,
}
