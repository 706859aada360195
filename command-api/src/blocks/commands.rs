//! The commands of a block: who may give them, and each refusal.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use shared::domain::access::Action;
use shared::domain::blocks::{BlockType, Content, ContentError};
use shared::domain::id::{BlockId, NoteId};
use shared::domain::rank::Rank;
use shared::process::problem::{FieldError, Problem, ProblemType};

use super::Block;
use super::places::{self, Place};
use crate::app::{Authorized, Claim, Home, Rows, UnitOfWork, id_taken};
use crate::app::{Refusal, problem};
use crate::log::{self, Freed, RankSlot};

/// The kind of claim that keeps a block and the task of the same id in one note.
const ITEM: &str = "item";

/// What may be asked of a block.
#[derive(Clone, Debug)]
pub enum BlockCommand {
    /// Add it to a note.
    Add {
        /// The note.
        note_id: NoteId,
        /// Its type and content.
        block: Content,
        /// Where in the note.
        anchor: Anchor,
    },
    /// Change some of it.
    Edit {
        /// Another type.
        block_type: Option<BlockType>,
        /// Fields of the content that are new; the others stay.
        content: Option<Map<String, Value>>,
    },
    /// Have exactly this type and content.
    Become {
        /// Which.
        block: Content,
    },
    /// Put it elsewhere.
    Move {
        /// In which note.
        note_id: NoteId,
        /// Where there.
        anchor: Anchor,
    },
    /// Take it out of its note.
    Remove,
    /// Put it back.
    Restore {
        /// Where.
        anchor: Anchor,
    },
}

/// What authorization finds out for a block's command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockContext {
    /// The rank of the place that was asked for.
    pub rank: Option<Rank>,
    /// Who added it, and when, if it goes to another note.
    pub origin: Option<Origin>,
}

/// How a place is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Behind all others.
    End,
    /// Right before another block.
    Before(BlockId),
    /// Right behind another block.
    After(BlockId),
    /// Where the block itself was before it was removed.
    Former,
}

/// Who added something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// A person's id, or the name of a policy.
    pub by: String,
    /// When it was recorded.
    pub at: DateTime<Utc>,
}

/// Why a block refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// There is none, or none that the caller may see.
    #[error("There is no such block.")]
    Missing,
    /// The id is in use.
    #[error("There is already a block with this id.")]
    AlreadyExists,
    /// It is not a part of its note any more.
    #[error("The block was removed. Restore it first.")]
    Removed,
    /// What it should hold is not possible.
    #[error("A part of the request is not acceptable; see errors.")]
    Content(ContentError),
    /// Its place was not looked up.
    #[error("The block has no place.")]
    Unplaced,
}

impl Refusal for BlockError {
    fn refuse(&self) -> ProblemType {
        match self {
            Self::Missing => ProblemType::BlockMissing,
            Self::AlreadyExists => ProblemType::BlockExists,
            Self::Removed => ProblemType::BlockRemoved,
            Self::Content(_) => ProblemType::Invalid,
            Self::Unplaced => ProblemType::Internal,
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::Content(error) => vec![error.clone().under("/content").into()],
            Self::Missing | Self::AlreadyExists | Self::Removed | Self::Unplaced => Vec::new(),
        }
    }
}

impl BlockCommand {
    /// What is done with the note that the block is a part of.
    fn action(&self) -> Action {
        match self {
            Self::Add { .. } => Action::BlocksAdd,
            Self::Edit { .. } | Self::Become { .. } => Action::BlocksChange,
            Self::Move { .. } => Action::BlocksMove,
            Self::Remove => Action::BlocksRemove,
            Self::Restore { .. } => Action::BlocksRestore,
        }
    }
}

/// A block that is to be a part of a note.
#[derive(Clone, Debug)]
pub struct NewBlock {
    /// Its id, in no use.
    pub id: BlockId,
    /// Its type and content.
    pub block: Content,
}

/// Adds blocks to a note that is just being made.
pub(super) fn add_all(
    work: &mut UnitOfWork<'_>,
    note: NoteId,
    home: &Home,
    blocks: &[NewBlock],
) -> Result<(), Problem> {
    let ranks = Rank::spread(None, None, blocks.len()).ok_or_else(|| problem(&BlockError::Unplaced))?;
    for (NewBlock { id, block }, rank) in blocks.iter().zip(ranks) {
        // Nobody else adds to a note that there is not yet.
        let slot = Place { rank: rank.clone(), beside: None, guards: None };
        let rows = Rows {
            places: vec![place(note, *id, slot)],
            claims: vec![claim(work, &id.to_string(), home.key_owner())],
            ..Rows::default()
        };
        let add = BlockCommand::Add { note_id: note, block: block.clone(), anchor: Anchor::End };
        let context = BlockContext { rank: Some(rank), origin: None };
        let authorized = Authorized { home: home.clone(), rows, context };
        work.create::<Block>(&id.to_string(), vec![add], authorized, problem(&BlockError::AlreadyExists))?;
    }
    Ok(())
}

/// Editors of the note change its blocks; moving one needs an editor on both ends.
pub(super) async fn authorize(
    block: &Block,
    work: &mut UnitOfWork<'_>,
    id: &str,
    commands: &[BlockCommand],
) -> Result<Authorized<BlockContext>, Problem> {
    let itself: BlockId = id.parse().map_err(|_| problem(&BlockError::Missing))?;
    let mut authorized = Authorized::<BlockContext>::default();
    if let Some(part) = block.part() {
        if commands.iter().any(|command| matches!(command, BlockCommand::Add { .. })) {
            let user = work.user()?;
            let is_seen = work.is_seen_by(user, part.note_id.into()).await?;
            return Err(if is_seen { problem(&BlockError::AlreadyExists) } else { id_taken() });
        }
        let missing = || problem(&BlockError::Missing);
        // Asking for no change is answered as well.
        let mut actions: Vec<Action> = commands.iter().map(BlockCommand::action).collect();
        if actions.is_empty() {
            actions.push(Action::BlocksChange);
        }
        for action in actions {
            authorized.home = work.require(action, part.note_id.into(), missing).await?.home;
        }
    }
    for command in commands {
        match command {
            BlockCommand::Add { note_id, anchor, .. } => {
                let nowhere = || Problem::invalid("/note_id", "There is no such note.");
                authorized.home = work.require(Action::BlocksAdd, (*note_id).into(), nowhere).await?.home;
                authorized.rows.claims.push(claim(work, id, authorized.home.key_owner()));
                take_place(work, &mut authorized, block, itself, *note_id, *anchor).await?;
            }
            BlockCommand::Move { note_id, anchor } => {
                let Some(part) = block.live() else { continue };
                let mut left = Vec::new();
                if *note_id != part.note_id {
                    let nowhere = || Problem::invalid("/note_id", "There is no such note.");
                    let there = work.require(Action::BlocksMoveIn, (*note_id).into(), nowhere).await?.home;
                    authorized.rows.released.push(belonging(work, id, authorized.home.key_owner()));
                    authorized.rows.claims.push(claim(work, id, there.key_owner()));
                    left = std::mem::replace(&mut authorized.home, there).scopes;
                    authorized.context.origin = Some(places::origin(work, "block", id).await?);
                }
                authorized.rows.freed.push(freed(part.note_id, itself, &part.rank));
                take_place(work, &mut authorized, block, itself, *note_id, *anchor).await?;
                // Those who move up there were never where this one comes from.
                authorized.home.scopes.extend(left);
            }
            BlockCommand::Remove => {
                authorized
                    .rows
                    .freed
                    .extend(block.live().map(|part| freed(part.note_id, itself, &part.rank)));
            }
            BlockCommand::Restore { anchor } => {
                if let Block::Removed(part) = block {
                    take_place(work, &mut authorized, block, itself, part.note_id, *anchor).await?;
                }
            }
            BlockCommand::Edit { .. } | BlockCommand::Become { .. } => (),
        }
    }
    Ok(authorized)
}

/// Finds a place, and has it taken with the events.
async fn take_place(
    work: &mut UnitOfWork<'_>,
    authorized: &mut Authorized<BlockContext>,
    block: &Block,
    itself: BlockId,
    note: NoteId,
    anchor: Anchor,
) -> Result<(), Problem> {
    let found = places::find(work, &authorized.home, note, itself, block, anchor).await?;
    authorized.context.rank = Some(found.rank.clone());
    authorized.rows.places.push(place(note, itself, found));
    Ok(())
}

/// The note as a container of places, and as the owner of items.
pub(super) fn container(note: NoteId) -> String {
    format!("note:{note}")
}

pub(super) fn place(note: NoteId, item: BlockId, place: Place) -> RankSlot {
    let Place { rank, beside, guards } = place;
    RankSlot { container: container(note), rank: rank.to_string(), item: item.to_string(), beside, guards }
}

pub(super) fn freed(note: NoteId, item: BlockId, rank: &Rank) -> Freed {
    Freed { container: container(note), item: item.to_string(), rank: rank.to_string() }
}

/// That the id belongs to the note or person whose key encrypts it: for the block, and for the task of the same id.
pub(crate) fn claim(work: &UnitOfWork<'_>, item: &str, key_owner: &str) -> Claim {
    Claim { claim: belonging(work, item, key_owner), taken: id_taken() }
}

fn belonging(work: &UnitOfWork<'_>, item: &str, key_owner: &str) -> log::Claim {
    log::Claim { kind: ITEM, value: work.app.keys.claim(ITEM, item), owner: key_owner.to_owned() }
}
