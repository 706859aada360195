//! The kinds of containers, each as its module finds it: a new kind adds a line.

use futures::FutureExt;
use futures::future::BoxFuture;
use shared::domain::access::{Container, Kind};
use shared::domain::id::{NoteId, NotebookId};
use shared::process::problem::Problem;

use crate::app::{Link, UnitOfWork};
use crate::{notebooks, notes};

/// A container and what it is in, each read to decide by; nothing if it is not there.
pub fn chain<'w>(
    work: &'w mut UnitOfWork<'_>,
    container: Container,
) -> BoxFuture<'w, Result<Vec<Link>, Problem>> {
    async move {
        match container.kind {
            Kind::Notebook => notebooks::chain(work, NotebookId(container.id)).await,
            Kind::Note => notes::chain(work, NoteId(container.id)).await,
        }
    }
    .boxed()
}
