//! Where maps go: a file for one, a folder for several; names, contact sheet, and writing each so that it appears whole or not at all.
use super::Args;
use crate::cli::pending::Pending;
use crate::explain::overlay::{Caption, Cell, Heat, Sheet, Style, Thumbnail, write_grey, write_npy, write_overlay};
use crate::explain::{Explanation, Sink};
use crate::input::{Geometry, Limits, Stream, UprightRows};
use crate::predict::{Answer, Failure, Run};
use crate::report::gradcam::{Files, Shown, View};
use crate::report::{Language, class_name};
use anyhow::{Context, Result, bail};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The contact sheet's name in the folder of the overlays.
const SHEET: &str = "contact-sheet.png";

/// A place that a user named.
#[derive(Debug)]
enum Place {
    File(PathBuf),
    Folder(PathBuf),
}

/// The places that a user named.
#[derive(Debug)]
pub struct Places {
    overlay: Option<Place>,
    npy: Option<Place>,
    png16: Option<Place>,
}

impl Places {
    /// Checks the places before the work begins, and makes the folders that several maps need.
    pub fn open(args: &Args, several: bool) -> Result<Self> {
        let place =
            |flag: &str, path: &Option<PathBuf>| path.as_deref().map(|p| Place::open(flag, p, several)).transpose();
        Ok(Self {
            overlay: place("--output", &args.output)?,
            npy: place("--npy", &args.npy)?,
            png16: place("--png16", &args.png16)?,
        })
    }
}

impl Place {
    fn open(flag: &str, path: &Path, several: bool) -> Result<Self> {
        let is_folder = path.is_dir() || path.as_os_str().to_string_lossy().ends_with(['/', '\\']);
        if !several && !is_folder {
            return Ok(Self::File(path.to_owned()));
        }
        if path.exists() && !path.is_dir() {
            bail!("`{flag} {}` is a file, and there are several maps: name a folder", path.display());
        }
        fs::create_dir_all(path).with_context(|| format!("`{flag} {}`: the folder cannot be made", path.display()))?;
        Ok(Self::Folder(path.to_owned()))
    }

    fn path(&self, name: &str, ending: &str) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Folder(folder) => folder.join(format!("{name}.{ending}")),
        }
    }
}

/// A file that the sheet writes into and that is published after it.
#[derive(Clone)]
struct Shared(Rc<RefCell<BufWriter<Pending>>>);

impl Shared {
    fn create(path: &Path) -> Result<Self> {
        let file = Pending::create(path).with_context(|| cannot_write(path))?;
        Ok(Self(Rc::new(RefCell::new(BufWriter::new(file)))))
    }

    fn publish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.0.borrow_mut().get_mut().publish()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

/// Writes maps as they come.
pub struct Writer<'o> {
    view: View<'o>,
    places: Places,
    style: Style,
    side_by_side: bool,
    limits: Limits,
    language: Language,
    sheet: Option<(Sheet<Shared>, Shared, PathBuf)>,
    names: HashSet<String>,
}

/// What a writer needs to know.
pub struct Setting {
    /// How overlays are painted.
    pub style: Style,
    /// Whether photo and overlay stand beside each other.
    pub side_by_side: bool,
    /// What reading a photo again may cost.
    pub limits: Limits,
    /// Language of captions.
    pub language: Language,
    /// Overlays of a folder job, for which there is a contact sheet; none: no sheet.
    pub on_sheet: Option<usize>,
}

impl<'o> Writer<'o> {
    /// Opens the contact sheet, if there is to be one.
    pub fn new(view: View<'o>, places: Places, setting: Setting) -> Result<Self> {
        let Setting { style, side_by_side, limits, language, on_sheet } = setting;
        let sheet = match (&places.overlay, on_sheet) {
            (Some(Place::Folder(folder)), Some(count)) => {
                let path = folder.join(SHEET);
                let file = Shared::create(&path)?;
                Some((Sheet::start(file.clone(), count)?, file, path))
            }
            _ => None,
        };
        Ok(Self { view, places, style, side_by_side, limits, language, sheet, names: HashSet::new() })
    }

    /// Ends the contact sheet and writes the results; gives the pictures that failed, and what the user should know.
    pub fn finish(self, run: &Run) -> Result<(Vec<Failure>, Vec<String>)> {
        let mut notes = Vec::new();
        if let Some((sheet, mut file, path)) = self.sheet {
            let shown = sheet
                .finish()
                .and_then(|shown| Ok(file.publish().map(|()| shown)?))
                .with_context(|| cannot_write(&path))?;
            if shown.left_out > 0 {
                notes.push(format!(
                    "`{}` shows the first {} overlays and leaves out {}",
                    path.display(),
                    shown.shown,
                    shown.left_out
                ));
            }
        }
        Ok((self.view.finish(run)?, notes))
    }

    /// `<stem>.<rank>-<label>.<method>`, made unique by a number where two photos of different folders have one name.
    fn name(&mut self, image: &str, explanation: &Explanation) -> String {
        let stem =
            Path::new(image).file_stem().map_or_else(|| "stdin".to_owned(), |s| s.to_string_lossy().into_owned());
        let stem = if image == "-" { "stdin".to_owned() } else { stem };
        let plain = |text: &str| text.replace(|c: char| !(c.is_alphanumeric() || "-_+".contains(c)), "_");
        let base = format!("{stem}.{}-{}.{}", explanation.rank, plain(&explanation.class.label), explanation.method);
        let mut name = base.clone();
        for number in 2.. {
            if self.names.insert(name.clone()) {
                break;
            }
            name = format!("{base}-{number}");
        }
        name
    }

    fn show(&mut self, run: &Run, photo: &mut Stream, answer: &Answer, explanation: Explanation) -> Result<Shown> {
        let name = self.name(&answer.image, &explanation);
        let geometry = Geometry::of(answer.size, &run.card.input);
        let mut files = Files::default();
        if let Some(place) = &self.places.npy {
            let path = place.path(&name, "npy");
            write_file(&path, |out| write_npy(&explanation.map, out))?;
            files.npy = Some(path);
        }
        let heat = match Heat::new(&explanation.map) {
            Ok(heat) => heat,
            Err(flat) => {
                let flat = flat.to_string();
                self.add_cell(&answer.image, flat.clone(), None, None)?;
                return Ok(Shown { explanation, files, flat: Some(flat) });
            }
        };
        if let Some(place) = &self.places.png16 {
            let path = place.path(&name, "16.png");
            write_file(&path, |out| write_grey(&heat, &geometry, out).map(|_| ()))?;
            files.png16 = Some(path);
        }
        if let Some(place) = &self.places.overlay {
            let path = place.path(&name, "png");
            let class = class_name(self.language, &run.card, &explanation.class);
            let note = class.clone();
            let mut style = self.style.clone();
            style.side_by_side = self.side_by_side.then(|| Caption {
                class,
                probability: Some(explanation.class.probability),
                method: explanation.method.to_string(),
                layer: explanation.layer.clone(),
                notice: run.card.about.notice.clone(),
            });
            let mut thumbnail = self.sheet.is_some().then(|| Thumbnail::of(answer.size));
            let mut rows = UprightRows::open(photo.again(), &self.limits, UprightRows::BUFFER)?;
            write_file(&path, |out| write_overlay(&mut rows, &geometry, &heat, &style, out, thumbnail.as_mut()))?;
            self.add_cell(&answer.image, note, Some(explanation.class.probability), thumbnail)?;
            files.overlay = Some(path);
        }
        Ok(Shown { explanation, files, flat: None })
    }

    fn add_cell(
        &mut self,
        image: &str,
        note: String,
        probability: Option<f32>,
        thumbnail: Option<Thumbnail>,
    ) -> Result<()> {
        let Some((sheet, ..)) = &mut self.sheet else { return Ok(()) };
        let name = Path::new(image).file_name().map_or_else(|| image.to_owned(), |n| n.to_string_lossy().into_owned());
        sheet.add(Cell { name, note, probability, thumbnail })
    }
}

impl Sink for Writer<'_> {
    fn explained(
        &mut self,
        run: &Run,
        mut photo: Stream,
        answer: Answer,
        explanations: Vec<Explanation>,
    ) -> Result<()> {
        let mut shown = Vec::with_capacity(explanations.len());
        for explanation in explanations {
            shown.push(self.show(run, &mut photo, &answer, explanation)?);
        }
        self.view.add(answer, shown);
        Ok(())
    }

    fn failure(&mut self, _run: &Run, failure: Failure) -> Result<()> {
        self.add_cell(&failure.image, failure.error.clone(), None, None)?;
        self.view.fail(failure);
        Ok(())
    }
}

/// Writes a file that appears whole or not at all.
fn write_file(path: &Path, write: impl FnOnce(&mut BufWriter<Pending>) -> Result<()>) -> Result<()> {
    let file = Pending::create(path).with_context(|| cannot_write(path))?;
    let mut out = BufWriter::new(file);
    write(&mut out).and_then(|()| Ok(out.flush()?)).with_context(|| cannot_write(path))?;
    out.get_mut().publish().with_context(|| cannot_write(path))
}

fn cannot_write(path: &Path) -> String {
    format!("`{}` cannot be written", path.display())
}
