//! Where a block stands among the blocks of its note: ranks are found here, and taken in the append.

use shared::id::{BlockId, NoteId};
use shared::problem::Problem;
use shared::rank::Rank;

use super::commands::{Origin, Spot, container, freed, place};
use super::{Anchor, Block, BlockCommand, BlockError};
use crate::aggregate::problem;
use crate::app::{Admitted, Home, Rows, Work};
use crate::log::Gap;

/// How many neighbours on each side of a crowd are spread anew.
const NEIGHBOURS: i64 = 32;

/// What lies around a place.
struct Between {
    after: Option<Rank>,
    before: Option<Rank>,
}

/// The rank of a place in a note, and the gap that it lies in.
///
/// Who stands beside it is read, so that it must still stand there when the place is taken; that nobody else came in
/// between is asked of the gap. Where no rank is left, the neighbours are spread anew in the same append.
pub(super) async fn find(
    work: &mut Work<'_>,
    home: &Home,
    note: NoteId,
    itself: BlockId,
    block: &Block,
    anchor: Anchor,
) -> Result<(Rank, Gap), Problem> {
    let between = match anchor {
        Anchor::End => Between { after: last(work, note, itself).await?, before: None },
        Anchor::After(other) => {
            let after = stands(work, note, itself, other, "/after").await?;
            Between { before: next(work, note, itself, &after).await?, after: Some(after) }
        }
        Anchor::Before(other) => {
            let before = stands(work, note, itself, other, "/before").await?;
            Between { after: previous(work, note, itself, &before).await?, before: Some(before) }
        }
        Anchor::Former => {
            let rank =
                block.part().map(|part| part.rank.clone()).ok_or_else(|| problem(&BlockError::Missing))?;
            let after = previous(work, note, itself, &rank).await?;
            match at_or_next(work, note, itself, &rank).await? {
                // Somebody took it meanwhile: right before them.
                Some(before) if before == rank => Between { after, before: Some(before) },
                before => return Ok((rank, Between { after, before }.gap())),
            }
        }
    };
    let gap = between.gap();
    if let Some(part) = block.live().filter(|part| part.note_id == note && between.holds(&part.rank)) {
        return Ok((part.rank.clone(), gap));
    }
    match Rank::between(between.after.as_ref(), between.before.as_ref()) {
        Some(rank) => Ok((rank, gap)),
        None => make_room(work, home, note, itself, &between).await,
    }
}

/// The rank of a block of this note, which is read to decide by.
async fn stands(
    work: &mut Work<'_>,
    note: NoteId,
    itself: BlockId,
    other: BlockId,
    pointer: &str,
) -> Result<Rank, Problem> {
    if other == itself {
        return Err(Problem::invalid(pointer, "A block cannot stand beside itself."));
    }
    let block = work.read::<Block>(&other.to_string()).await?;
    match block.state.live() {
        Some(part) if part.note_id == note => Ok(part.rank.clone()),
        Some(_) | None => Err(Problem::invalid(pointer, "There is no such block in the note.")),
    }
}

/// Spreads those who stand closest around a crowded place, and gives a rank in their middle.
async fn make_room(
    work: &mut Work<'_>,
    home: &Home,
    note: NoteId,
    itself: BlockId,
    between: &Between,
) -> Result<(Rank, Gap), Problem> {
    let around = around(work, note, itself, between).await?;
    let mut ranks = around.outer.spread(around.before.len() + 1 + around.behind.len())?.into_iter();
    let gap = around.outer.gap();
    let before: Vec<_> = around.before.into_iter().zip(ranks.by_ref()).collect();
    let rank = ranks.next().ok_or_else(|| problem(&BlockError::Unplaced))?;
    for (item, rank) in before.into_iter().chain(around.behind.into_iter().zip(ranks)) {
        let id = item.to_string();
        let loaded = work.load_to_change::<Block>(&id).await?;
        let rows = Rows {
            freed: vec![freed(note, item)],
            places: vec![place(note, item, &rank, gap.clone())],
            ..Rows::default()
        };
        let step_aside = BlockCommand::Move { note_id: note, spot: Spot::Found(rank), origin: None };
        work.change(&id, &loaded, vec![step_aside], Admitted { home: home.clone(), rows })?;
    }
    Ok((rank, gap))
}

/// Who stands around a place, in order, and the ranks beyond them.
struct Around {
    outer: Between,
    before: Vec<BlockId>,
    behind: Vec<BlockId>,
}

async fn around(
    work: &Work<'_>,
    note: NoteId,
    itself: BlockId,
    between: &Between,
) -> Result<Around, Problem> {
    let below = between.before.as_ref().map(Rank::as_str);
    let before = sqlx::query!(
        r#"select rank, item from es.place
            where container = $1 and item <> $2 and ($3::text is null or rank < $3) order by rank desc limit $4"#,
        container(note),
        itself.to_string(),
        below,
        NEIGHBOURS + 1
    )
    .fetch_all(&work.app.pool)
    .await?;
    let above = between.after.as_ref().map_or("", Rank::as_str);
    let behind = sqlx::query!(
        r#"select rank, item from es.place
            where container = $1 and item <> $2 and rank > $3 order by rank limit $4"#,
        container(note),
        itself.to_string(),
        above,
        NEIGHBOURS + 1
    )
    .fetch_all(&work.app.pool)
    .await?;
    let most = usize::try_from(NEIGHBOURS).unwrap_or_default();
    let outer = Between {
        after: before.get(most).map(|row| read(&row.rank)).transpose()?,
        before: behind.get(most).map(|row| read(&row.rank)).transpose()?,
    };
    let item = |item: &str| item.parse::<BlockId>().map_err(Problem::internal);
    let before = before.iter().take(most).rev().map(|row| item(&row.item)).collect::<Result<_, _>>()?;
    let behind = behind.iter().take(most).map(|row| item(&row.item)).collect::<Result<_, _>>()?;
    Ok(Around { outer, before, behind })
}

async fn last(work: &Work<'_>, note: NoteId, itself: BlockId) -> Result<Option<Rank>, Problem> {
    let rank = sqlx::query_scalar!(
        "select rank from es.place where container = $1 and item <> $2 order by rank desc limit 1",
        container(note),
        itself.to_string()
    );
    rank.fetch_optional(&work.app.pool).await?.as_deref().map(read).transpose()
}

async fn previous(
    work: &Work<'_>,
    note: NoteId,
    itself: BlockId,
    rank: &Rank,
) -> Result<Option<Rank>, Problem> {
    let rank = sqlx::query_scalar!(
        "select rank from es.place where container = $1 and item <> $2 and rank < $3 order by rank desc limit 1",
        container(note),
        itself.to_string(),
        rank.as_str()
    );
    rank.fetch_optional(&work.app.pool).await?.as_deref().map(read).transpose()
}

async fn next(work: &Work<'_>, note: NoteId, itself: BlockId, rank: &Rank) -> Result<Option<Rank>, Problem> {
    let rank = sqlx::query_scalar!(
        "select rank from es.place where container = $1 and item <> $2 and rank > $3 order by rank limit 1",
        container(note),
        itself.to_string(),
        rank.as_str()
    );
    rank.fetch_optional(&work.app.pool).await?.as_deref().map(read).transpose()
}

async fn at_or_next(
    work: &Work<'_>,
    note: NoteId,
    itself: BlockId,
    rank: &Rank,
) -> Result<Option<Rank>, Problem> {
    let rank = sqlx::query_scalar!(
        "select rank from es.place where container = $1 and item <> $2 and rank >= $3 order by rank limit 1",
        container(note),
        itself.to_string(),
        rank.as_str()
    );
    rank.fetch_optional(&work.app.pool).await?.as_deref().map(read).transpose()
}

/// Who added something, and when: its first event says so in clear, also when its content is erased.
pub(crate) async fn origin(work: &Work<'_>, aggregate_type: &str, id: &str) -> Result<Origin, Problem> {
    let row = sqlx::query!(
        r#"select metadata ->> 'actor' as "by!", recorded_at as at from es.event
            where aggregate_type = $1 and aggregate_id = $2 and sequence = 1"#,
        aggregate_type,
        id
    )
    .fetch_one(&work.app.pool)
    .await?;
    Ok(Origin { by: row.by, at: row.at })
}

fn read(rank: &str) -> Result<Rank, Problem> {
    Rank::try_from(rank.to_owned()).map_err(Problem::internal)
}

impl Between {
    fn gap(&self) -> Gap {
        let text = |rank: &Option<Rank>| rank.as_ref().map(Rank::to_string);
        Gap { after: text(&self.after), before: text(&self.before) }
    }

    fn holds(&self, rank: &Rank) -> bool {
        self.after.as_ref().is_none_or(|after| after < rank)
            && self.before.as_ref().is_none_or(|before| rank < before)
    }

    fn spread(&self, count: usize) -> Result<Vec<Rank>, Problem> {
        Rank::spread(self.after.as_ref(), self.before.as_ref(), count)
            .ok_or_else(|| problem(&BlockError::Unplaced))
    }
}
