//! `daybook import`: a client of the API that turns a tree of Markdown files into notebooks and notes.
//!
//! Every folder with such files becomes a notebook, and every file a note. Their ids are derived from the person and
//! the place of the file. So a second import finds what already exists, even if the first one was interrupted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::domain::blocks::Content;
use shared::domain::text::label;
use shared::process::problem::ProblemType;
use tokio::sync::RwLock;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;
use walkdir::{DirEntry, WalkDir};

use crate::account::{Account, reason};
use crate::output;

/// Files imported at once.
const AT_ONCE: usize = 16;
/// How many blocks a note is created with; others follow one by one.
const FIRST: usize = 999;
/// A note is created with no more blocks once they have this many bytes. With the last one, the request stays below the
/// limit of 1 MiB.
const LARGEST: usize = 700 * 1024;
/// The longest title.
const TITLE: usize = 500;
/// How often a request is repeated while the server is not ready, and the pause between two attempts.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_millis(500);

#[derive(clap::Args)]
pub(crate) struct Import {
    /// The folder with Markdown files.
    folder: PathBuf,
    #[command(flatten)]
    account: Account,
}

/// The outcome of one file.
struct Imported {
    blocks: usize,
    new: bool,
    /// Reading and parsing, on this side.
    ours: Duration,
}

/// One folder's files, and the notebook for them.
struct Notebook {
    id: Uuid,
    name: String,
    files: Vec<PathBuf>,
}

/// The server, and the person to act as.
struct Server {
    http: Client,
    url: String,
    account: Account,
    token: RwLock<SecretString>,
}

impl Import {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let begun = Instant::now();
        ensure!(self.folder.is_dir(), "There is no folder {}", self.folder.display());
        let url = self.account.url()?;
        let token = RwLock::new(self.account.token(&url).await?);
        let server = Arc::new(Server { http: Client::new(), url, account: self.account, token });
        let person = server.person().await?;
        let names = Names { person, root: self.folder.canonicalize()?, asked_for: self.folder.clone() };
        let notebooks = notebooks(&self.folder, &names)?;
        let files: usize = notebooks.iter().map(|notebook| notebook.files.len()).sum();
        if files == 0 {
            bail!("{} contains no Markdown files (.md, .markdown).", self.folder.display());
        }
        let bar = bar(files);
        let mut failed = Vec::new();
        let making = notebooks.into_iter().map(|notebook| {
            let server = Arc::clone(&server);
            async move {
                let body = json!({"id": notebook.id, "name": notebook.name});
                let made = server.make("/notebooks", &body, ProblemType::NotebookExists).await;
                (notebook, made)
            }
        });
        let mut work = Vec::new();
        let mut making = stream::iter(making).buffer_unordered(AT_ONCE);
        while let Some((Notebook { id, files, .. }, made)) = making.next().await {
            match made {
                Ok(_) => work.extend(files.into_iter().map(|file| (id, file))),
                Err(error) => failed.extend(files.into_iter().map(|file| (file, format!("{error:#}")))),
            }
        }
        let importing = work.into_iter().map(|(notebook, file)| {
            let (server, note) = (Arc::clone(&server), names.note(&file));
            async move {
                let done = server.import(notebook, &note, &file).await;
                (file, done)
            }
        });
        let mut importing = stream::iter(importing).buffer_unordered(AT_ONCE);
        let (mut new, mut known, mut blocks, mut ours) = (0, 0, 0, Duration::ZERO);
        while let Some((file, done)) = importing.next().await {
            bar.inc(1);
            match done {
                Ok(imported) => {
                    *(if imported.new { &mut new } else { &mut known }) += 1;
                    blocks += imported.blocks;
                    ours += imported.ours;
                }
                Err(error) => failed.push((file, format!("{error:#}"))),
            }
        }
        bar.finish_and_clear();
        let took = begun.elapsed();
        output::line(&format!(
            "{new} notes made, {known} there already, {} could not be imported; {blocks} blocks, {:.1} s, {:.0} notes/s; \
             reading Markdown took {:.2} s of it.",
            failed.len(),
            took.as_secs_f64(),
            rate(new + known, took),
            ours.as_secs_f64(),
        ));
        for (file, why) in &failed {
            output::complaint(&format!("{}: {why}", file.display()));
        }
        ensure!(
            failed.is_empty(),
            "Some files could not be imported. Run the command again to try only those."
        );
        Ok(())
    }
}

impl Server {
    async fn import(&self, notebook: Uuid, note: &Uuid, file: &Path) -> anyhow::Result<Imported> {
        let begun = Instant::now();
        let bytes = tokio::fs::read(file).await?;
        let text = String::from_utf8(bytes).context("It is not UTF-8")?;
        let document = markdown::parse(&text);
        let title = title(document.title.as_deref(), file);
        let id = |nth: usize| name(&[b"block", note.as_bytes(), &nth.to_be_bytes()]);
        let block = |(nth, block): (usize, &Content)| json!({"id": id(nth), "type": block.block_type(), "content": block.data()});
        let mut bodies = document.blocks.iter().enumerate().map(block);
        let (mut first, mut size) = (Vec::new(), 0);
        while first.len() < FIRST
            && size < LARGEST
            && let Some(body) = bodies.next()
        {
            size += body.to_string().len();
            first.push(body);
        }
        let ours = begun.elapsed();
        let begun_with = first.len();
        let body = json!({"id": note, "notebook_id": notebook, "title": title, "blocks": first});
        let mut new = self.make("/notes", &body, ProblemType::NoteExists).await?;
        for (nth, mut body) in (begun_with..).zip(bodies) {
            body["note_id"] = json!(note);
            body["after"] = json!(id(nth - 1));
            new |= self.make("/blocks", &body, ProblemType::BlockExists).await?;
        }
        Ok(Imported { blocks: document.blocks.len(), new, ours })
    }

    /// Creates something; `false` if it already exists, which the server answers with `known`.
    async fn make(&self, path: &str, body: &Value, known: ProblemType) -> anyhow::Result<bool> {
        let (status, answer) =
            self.ask(|http| http.post(format!("{}/api/v1{path}", self.url)).json(body)).await?;
        if status.is_success() {
            return Ok(true);
        }
        ensure!(answer["type"] == known.uri(), "The server refused it: {}", reason(&answer));
        Ok(false)
    }

    /// The person who imports.
    async fn person(&self) -> anyhow::Result<String> {
        let (_, me) = self.ask(|http| http.get(format!("{}/api/v1/me", self.url))).await?;
        let id = me["id"].as_str().map(str::to_owned);
        id.with_context(|| format!("The server did not answer who you are: {}", reason(&me)))
    }

    /// Sends a request, and again while the server is not ready.
    async fn ask(&self, request: impl Fn(&Client) -> RequestBuilder) -> anyhow::Result<(StatusCode, Value)> {
        let mut tries = interval(PAUSE);
        tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..TRIES {
            tries.tick().await;
            let token = self.token.read().await.clone();
            let answer = request(&self.http).bearer_auth(token.expose_secret()).send().await;
            let answer = answer.with_context(|| format!("No server answers at {}", self.url))?;
            match answer.status() {
                StatusCode::UNAUTHORIZED => self.renew(&token).await?,
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => (),
                status => return Ok((status, answer.json().await.unwrap_or_default())),
            }
        }
        bail!("The server is not ready. Try again later.")
    }

    /// Logs in again, once for all requests whose token has expired.
    async fn renew(&self, ended: &SecretString) -> anyhow::Result<()> {
        let mut token = self.token.write().await;
        if token.expose_secret() == ended.expose_secret() {
            *token = self.account.token(&self.url).await?;
            ensure!(token.expose_secret() != ended.expose_secret(), "The token has expired. Get a new one.");
        }
        Ok(())
    }
}

/// The folders with Markdown files, in the order of their paths. Hidden files and symbolic links are skipped.
fn notebooks(root: &Path, names: &Names) -> anyhow::Result<Vec<Notebook>> {
    let hidden = |entry: &DirEntry| entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.');
    let mut notebooks: BTreeMap<PathBuf, Notebook> = BTreeMap::new();
    for entry in WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(|entry| !hidden(entry)) {
        let entry = entry?;
        if !entry.file_type().is_file() || !is_markdown(entry.path()) {
            continue;
        }
        let folder = entry.path().parent().unwrap_or(root).to_owned();
        let new = || Notebook {
            id: names.notebook(&folder),
            name: notebook_name(root, &folder),
            files: Vec::new(),
        };
        notebooks.entry(folder.clone()).or_insert_with(new).files.push(entry.into_path());
    }
    Ok(notebooks.into_values().collect())
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        extension.eq_ignore_ascii_case("md") || extension.eq_ignore_ascii_case("markdown")
    })
}

/// The name of a notebook: the folder's path below the root, or the root's own name.
fn notebook_name(root: &Path, folder: &Path) -> String {
    let path = inside(root, folder);
    let own =
        || root.canonicalize().ok().and_then(|root| Some(root.file_name()?.to_string_lossy().into_owned()));
    let name = if path.is_empty() { own().unwrap_or_default() } else { path };
    label(&name, TITLE).unwrap_or_else(|| "Imported".to_owned())
}

fn inside(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

/// The ids of what one person imports from one place: the same each time.
#[derive(Clone)]
struct Names {
    person: String,
    /// The real path of the folder, so that two folders never share ids.
    root: PathBuf,
    asked_for: PathBuf,
}

impl Names {
    fn notebook(&self, folder: &Path) -> Uuid {
        self.id("notebook", folder)
    }

    fn note(&self, file: &Path) -> Uuid {
        self.id("note", file)
    }

    /// File names need not be text, so their bytes count.
    fn id(&self, what: &str, path: &Path) -> Uuid {
        let path = self.root.join(path.strip_prefix(&self.asked_for).unwrap_or(path));
        name(&[what.as_bytes(), self.person.as_bytes(), path.as_os_str().as_encoded_bytes()])
    }
}

/// The id that a name always has (a UUID of version 8).
fn name(parts: &[&[u8]]) -> Uuid {
    let digest = parts.iter().fold(Sha256::new().chain_update("daybook import"), |digest, part| {
        digest.chain_update([0]).chain_update(part)
    });
    let digest: [u8; 32] = digest.finalize().into();
    let (first, _) = digest.split_first_chunk().expect("32 bytes are more than 16");
    Uuid::new_v8(*first)
}

/// The title of a note: its first heading, or the name of its file.
fn title(heading: Option<&str>, file: &Path) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let line = |text: &str| label(text, TITLE);
    heading.and_then(line).or_else(|| stem.as_deref().and_then(line)).unwrap_or_else(|| "Untitled".to_owned())
}

fn bar(files: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(files as u64), ProgressDrawTarget::stderr());
    let style = "{wide_bar} {pos} of {len} files, {per_sec}, {eta} to go";
    bar.set_style(ProgressStyle::with_template(style).expect("the template is well-formed"));
    bar
}

fn rate(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64()
}
