//! Pictures that servers are asked about, each with its right answer.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, ensure};

use super::answer::Expected;
use super::http::{Connection, head};
use crate::bench::child::measure;
use crate::bench::jpeg;
use crate::workspace;

/// 12 megapixels, as phones take them: lying and upright.
const PHOTOS: [[usize; 2]; 3] = [[4000, 3000], [3024, 4032], [4032, 3024]];
/// From a microscope, or made small before it was sent.
const SMALL: [[usize; 2]; 2] = [[600, 450], [640, 480]];

/// A picture.
#[derive(Clone, Debug)]
pub struct Picture {
    path: PathBuf,
    /// The file.
    pub bytes: Vec<u8>,
    /// Whether it has 12 megapixels.
    pub is_large: bool,
    /// Width and height.
    size: [u32; 2],
}

impl Picture {
    /// Draws all, no two of them alike, into `folder`.
    pub fn draw(folder: &Path) -> Result<Vec<Self>> {
        let all = PHOTOS.into_iter().map(|size| (size, true)).chain(SMALL.into_iter().map(|size| (size, false)));
        all.enumerate().map(|(at, (size, is_large))| Self::one(folder, at as u8, size, is_large)).collect()
    }

    fn one(folder: &Path, look: u8, size: [usize; 2], is_large: bool) -> Result<Self> {
        let path = folder.join(format!("{look}.jpg"));
        jpeg::write_other(&path, size, true, look)?;
        let bytes = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        Ok(Self { path, bytes, is_large, size: size.map(|side| side as u32) })
    }

    /// Its place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `dermai gradcam` says of it: a server that makes maps asks the same graph, with a map wanted or not.
    pub fn by_program(&self, binary: &Path, model: &Path, threads: usize) -> Result<Expected> {
        let mut command = Command::new(binary);
        command.current_dir(workspace::root()).env_remove("DERMAI_MODEL");
        command.args(["--quiet", "gradcam", "--json", "--threads", &threads.to_string(), "--model"]).arg(model);
        command.arg("-o").arg(self.path.with_extension("png")).arg(&self.path);
        let answer = measure(&mut command)?.expect(0, &command)?.stdout;
        self.expected(answer.as_bytes())
    }

    /// What a server says of it that has nothing else to do.
    pub fn by_server(&self, address: SocketAddr) -> Result<Expected> {
        let mut connection = Connection::open(address)?;
        let length = self.bytes.len() as u64;
        let reply = connection
            .ask(&head("POST", "/predict", &[], length), &self.bytes)
            .map_err(|broken| anyhow!(broken.why))?;
        ensure!(reply.status == 200, "`/predict` answered {}: {}", reply.status, String::from_utf8_lossy(&reply.body));
        self.expected(&reply.body)
    }

    fn expected(&self, answer: &[u8]) -> Result<Expected> {
        let named = || format!("`{}`", self.path.display());
        Expected::of(answer, self.size).map_err(|why| anyhow!(why)).with_context(named)
    }
}
