//! ONNX Runtime: finding the library, loading it without telemetry, and what it and the CPU are.
use anyhow::{Context, Result, anyhow, bail};
use ort::environment::Environment;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The version that `cargo xtask setup` brings and that every figure was measured with.
const PINNED: &str = "1.28.0";
/// Where `cargo xtask setup` puts it, below the workspace: `.onnxruntime/<version>/<platform>/`.
const SETUP_FOLDER: &str = ".onnxruntime";
/// Environment variable that says where the library is; wins over every other place.
pub const VARIABLE: &str = "ORT_DYLIB_PATH";

/// The loaded runtime; clones share it.
#[derive(Clone, Debug)]
pub struct Runtime {
    environment: Environment,
    version: String,
    has_pool: bool,
}

impl Runtime {
    /// Finds and loads the library, once a process, however many models are started; telemetry is turned off before anything else happens.
    pub fn load() -> Result<Self> {
        // The runtime has one environment a process and `ort` refuses to make a second one, even after the first has ended.
        static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        match &*loaded {
            Some(runtime) => Ok(runtime.clone()),
            None => Ok(loaded.insert(Self::load_first()?).clone()),
        }
    }

    fn load_first() -> Result<Self> {
        let path = find()?;
        let advice = || {
            format!(
                "`{}` cannot be used as ONNX Runtime; run `cargo xtask setup`, or set `{VARIABLE}` to version {PINNED} or newer",
                path.display()
            )
        };
        let environment = ort::init_from(&path)
            .map_err(|e| match e {
                ort::LoadDynamicError::Dlopen { error, .. } => anyhow::Error::new(error), // its source says what was wrong
                other => anyhow!("{other}"),
            })
            .and_then(|e| e.with_name("dermai").with_telemetry(false).build().map_err(|e| anyhow!("{e}")));
        let environment = environment.with_context(advice)?;
        let version = version(&path).with_context(advice)?;
        #[cfg(target_os = "linux")]
        let has_pool = super::allocator::register(&environment);
        #[cfg(not(target_os = "linux"))]
        let has_pool = false;
        Ok(Self { environment, version, has_pool })
    }

    /// Its version, such as `1.28.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether sessions can take their tensors from a [`Pool`](crate::memory::Pool).
    pub(super) fn has_pool(&self) -> bool {
        self.has_pool
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// The folder of the program and those above it, nearest first: `target/release`, the workspace, or where a distribution was unpacked.
pub fn folders_above_program() -> Vec<PathBuf> {
    let program = std::env::current_exe().and_then(std::fs::canonicalize).unwrap_or_default();
    program.ancestors().skip(1).take(5).map(Path::to_owned).collect()
}

/// Where the library is that [`Runtime::load`] loads.
///
/// # Errors
/// When there is none: what to run is said.
pub fn find() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("`{VARIABLE}` is `{}`, which does not exist", path.display());
        }
        return Ok(path);
    }
    let folders = folders_above_program();
    let beside = folders.first().into_iter().flat_map(|folder| [folder.clone(), folder.join("../lib")]);
    let brought = folders.iter().map(|folder| folder.join(SETUP_FOLDER)).flat_map(|folder| versions(&folder));
    beside.chain(brought).find_map(|folder| library_in(&folder)).with_context(|| {
        format!("ONNX Runtime is not here: run `cargo xtask setup` in the checkout, put its library beside the program, or set `{VARIABLE}`")
    })
}

/// Folders of the versions that setup has brought for this platform: the pinned one, then others, newest first.
fn versions(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
    names.sort_by_key(|name| (name == PINNED, name.clone()));
    let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    names.into_iter().rev().map(|name| folder.join(name).join(&platform)).collect()
}

/// The library in `folder`, under its plain name or with its version behind it.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let (start, end) = match std::env::consts::OS {
        "windows" => ("onnxruntime.dll", ""),
        "macos" => ("libonnxruntime.", "dylib"),
        _ => ("libonnxruntime.so", ""),
    };
    let fits = |name: &str| name.starts_with(start) && name.ends_with(end);
    let mut found: Vec<_> = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(fits) && path.is_file());
    found.sort();
    found.pop()
}

/// The version that the loaded library states.
fn version(path: &Path) -> Result<String> {
    // SAFETY: the library is loaded already (`ort` did it), so no code of it runs now; `OrtGetApiBase` takes nothing and gives a
    // pointer to a table that lives as long as the library, which `ort` never unloads (onnxruntime_c_api.h).
    unsafe {
        let library = libloading::Library::new(path)?;
        let base = library.get::<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase\0")?();
        let base = base.as_ref().context("it gives no API")?;
        Ok(CStr::from_ptr((base.GetVersionString)()).to_string_lossy().into_owned())
    }
}

/// Channels in a block of the runtime's blocked layout (`MlasNchwcGetBlockSize`, onnxruntime: core/mlas/lib/snchwc.cpp).
pub fn nchwc_block() -> usize {
    if matches!(cpu_class(), "avx512" | "neon") { 16 } else { 8 }
}

/// Whether products of 8-bit integers are added in 32 bits: VNNI, or the dot product of NEON (onnxruntime: `core/mlas/lib/platform.cpp`). Without it
/// a pair is added in 16 bits, and saturates.
pub fn has_vnni() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx512vnni") || std::arch::is_x86_feature_detected!("avxvnni")
    }
    #[cfg(not(target_arch = "x86_64"))]
    true
}

/// Every class of CPU, or none of those that are known.
pub const ANY_CPU: &str = "any";

/// The class of CPU that decides which instructions the runtime uses: `avx512`, `avx2`, `neon` or [`ANY_CPU`].
pub fn cpu_class() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512bw") {
            return "avx512";
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            return "avx2";
        }
    }
    if cfg!(target_arch = "aarch64") { "neon" } else { ANY_CPU }
}
