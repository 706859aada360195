//! Where a block stands among the blocks of its note: ranks are found here, and taken in the append.

use shared::domain::id::{BlockId, NoteId};
use shared::domain::rank::Rank;
use shared::log::event_log;
use shared::process::problem::{Problem, ProblemType};

use super::commands::{Origin, container, freed, place};
use super::{Anchor, Block, BlockCommand, BlockContext, BlockError};
use crate::app::problem;
use crate::app::{Authorized, Home, Rows, UnitOfWork};
use crate::log::{Beside, Gap};

/// How many neighbours on each side of a crowded place get new ranks; more, if those beyond are as crowded.
const NEIGHBOURS: [usize; 3] = [32, 128, 480];
/// What no rank reaches: ranks are made of letters and digits.
const BEHIND_ALL: &str = "~";

/// The blocks of a note, but for the one that is to be placed.
#[derive(Clone, Copy)]
struct Neighbours {
    note: NoteId,
    itself: BlockId,
}

/// A block and its rank.
struct Standing {
    rank: Rank,
    item: BlockId,
}

/// On which side of another block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    Behind,
}

/// A row of `es.place`.
struct Row {
    rank: String,
    item: String,
}

/// What lies around a place.
struct Between {
    after: Option<Rank>,
    before: Option<Rank>,
}

/// A place in a note.
pub(super) struct Place {
    /// Its rank.
    pub(super) rank: Rank,
    /// The block that it was asked to be beside.
    pub(super) beside: Option<Beside>,
    /// What nobody else may come into, if others have to move.
    pub(super) guards: Option<Gap>,
}

/// A place in a note where it was asked for.
///
/// The block beside it must still stand there when the place is taken. What others add there meanwhile takes ranks of its
/// own and does not disturb, so nobody has to wait. Where no rank is left, the neighbours get new, evenly spread ranks in
/// the same append.
pub(super) async fn find(
    work: &mut UnitOfWork<'_>,
    home: &Home,
    note: NoteId,
    itself: BlockId,
    block: &Block,
    anchor: Anchor,
) -> Result<Place, Problem> {
    let neighbours = Neighbours { note, itself };
    let (between, beside) = match anchor {
        Anchor::End => {
            (Between { after: first(neighbours.before(work, None, 1).await?), before: None }, None)
        }
        Anchor::After(other) => {
            let (after, before) = neighbours.around(work, other, Side::Behind, "/after").await?;
            let beside = beside(other, &after);
            (Between { after: Some(after), before }, Some(beside))
        }
        Anchor::Before(other) => {
            let (before, after) = neighbours.around(work, other, Side::Before, "/before").await?;
            let beside = beside(other, &before);
            (Between { after, before: Some(before) }, Some(beside))
        }
        Anchor::Former => {
            let part = block.part().ok_or_else(|| problem(&BlockError::Missing))?;
            let after = first(neighbours.before(work, Some(&part.rank), 1).await?);
            let before = first(neighbours.behind(work, after.as_ref(), 1).await?);
            let between = Between { after, before };
            if between.holds(&part.rank) {
                return Ok(Place { rank: part.rank.clone(), beside: None, guards: None });
            }
            // Somebody has taken it meanwhile: right before them.
            (between, None)
        }
    };
    if let Some(part) = block.live().filter(|part| part.note_id == note && between.holds(&part.rank)) {
        return Ok(Place { rank: part.rank.clone(), beside, guards: None });
    }
    if let Some(rank) = Rank::jittered_between(between.after.as_ref(), between.before.as_ref()) {
        return Ok(Place { rank, beside, guards: None });
    }
    let (rank, gap) = make_room(work, home, neighbours, &between).await?;
    Ok(Place { rank, beside, guards: Some(gap) })
}

fn beside(other: BlockId, rank: &Rank) -> Beside {
    Beside { item: other.to_string(), rank: rank.to_string() }
}

/// Spreads the nearest blocks around a crowded place, and returns a rank in their middle.
async fn make_room(
    work: &mut UnitOfWork<'_>,
    home: &Home,
    neighbours: Neighbours,
    between: &Between,
) -> Result<(Rank, Gap), Problem> {
    let (before, behind, outer, mut ranks) = crowd(work, neighbours, between).await?;
    let gap = outer.gap();
    let place_of_ours = before.len();
    let rank = ranks.remove(place_of_ours);
    let crowd: Vec<Standing> = before.into_iter().rev().chain(behind).collect();
    let ids: Vec<String> = crowd.iter().map(|standing| standing.item.to_string()).collect();
    let loaded = work.load_all_to_change::<Block>(&ids).await?;
    for (((standing, id), loaded), rank) in crowd.into_iter().zip(ids).zip(loaded).zip(ranks) {
        if loaded.state.live().is_none_or(|part| part.note_id != neighbours.note) {
            // It left while we looked.
            return Err(crowded());
        }
        let slot = Place { rank: rank.clone(), beside: None, guards: Some(gap.clone()) };
        let rows = Rows {
            freed: vec![freed(neighbours.note, standing.item, &standing.rank)],
            places: vec![place(neighbours.note, standing.item, slot)],
            ..Rows::default()
        };
        let moved = BlockCommand::Move { note_id: neighbours.note, anchor: Anchor::Former };
        let context = BlockContext { rank: Some(rank), origin: None };
        work.change(&id, &loaded, vec![moved], Authorized { home: home.clone(), rows, context })?;
    }
    Ok((rank, gap))
}

/// Who stands on either side of a crowded place, the nearest first, with what lies beyond them, and the ranks that spread
/// them.
async fn crowd(
    work: &UnitOfWork<'_>,
    neighbours: Neighbours,
    between: &Between,
) -> Result<(Vec<Standing>, Vec<Standing>, Between, Vec<Rank>), Problem> {
    for most in NEIGHBOURS {
        let limit = i64::try_from(most).unwrap_or_default() + 1;
        let mut before = neighbours.before(work, between.before.as_ref(), limit).await?;
        let mut behind = neighbours.behind(work, between.after.as_ref(), limit).await?;
        // Blocks beyond them stay.
        let beyond =
            |all: &mut Vec<Standing>| all.split_off(all.len().min(most)).pop().map(|standing| standing.rank);
        let outer = Between { after: beyond(&mut before), before: beyond(&mut behind) };
        if let Some(ranks) = outer.spread(before.len() + 1 + behind.len()) {
            return Ok((before, behind, outer, ranks));
        }
    }
    Err(crowded())
}

fn crowded() -> Problem {
    Problem::passing(
        ProblemType::Contended,
        "Too many blocks are added at the same place at this moment. Nothing was changed. Try again.",
        1,
    )
}

impl Neighbours {
    /// The rank of a block of this note, and that of the next one on that side of it.
    async fn around(
        self,
        work: &UnitOfWork<'_>,
        other: BlockId,
        side: Side,
        pointer: &str,
    ) -> Result<(Rank, Option<Rank>), Problem> {
        if other == self.itself {
            return Err(Problem::invalid(pointer, "A block cannot be placed beside itself."));
        }
        let row = sqlx::query!(
            "select x.rank,
                    (select y.rank from es.place y where $4 and y.container = $1 and y.item <> $3 and y.rank > x.rank
                      order by y.rank limit 1) as behind,
                    (select y.rank from es.place y
                      where not $4 and y.container = $1 and y.item <> $3 and y.rank < x.rank
                      order by y.rank desc limit 1) as before
               from es.place x where x.item = $2 and x.container = $1",
            container(self.note),
            other.to_string(),
            self.itself.to_string(),
            side == Side::Behind
        );
        let Some(row) = row.fetch_optional(&work.app.pool).await? else {
            return Err(Problem::invalid(pointer, "There is no such block in the note."));
        };
        let rank = |text: String| Rank::try_from(text).map_err(Problem::internal);
        Ok((rank(row.rank)?, row.behind.or(row.before).map(rank).transpose()?))
    }

    /// The blocks before a rank, or before the end, the nearest first.
    async fn before(
        self,
        work: &UnitOfWork<'_>,
        rank: Option<&Rank>,
        limit: i64,
    ) -> Result<Vec<Standing>, Problem> {
        let rows = sqlx::query_as!(
            Row,
            "select rank, item from es.place
              where container = $1 and item <> $2 and rank < $3 order by rank desc limit $4",
            container(self.note),
            self.itself.to_string(),
            rank.map_or(BEHIND_ALL, Rank::as_str),
            limit
        );
        rows.fetch_all(&work.app.pool).await?.into_iter().map(Standing::try_from).collect()
    }

    /// The blocks behind a rank, or behind the beginning, the nearest first.
    async fn behind(
        self,
        work: &UnitOfWork<'_>,
        rank: Option<&Rank>,
        limit: i64,
    ) -> Result<Vec<Standing>, Problem> {
        let rows = sqlx::query_as!(
            Row,
            "select rank, item from es.place
              where container = $1 and item <> $2 and rank > $3 order by rank limit $4",
            container(self.note),
            self.itself.to_string(),
            rank.map_or("", Rank::as_str),
            limit
        );
        rows.fetch_all(&work.app.pool).await?.into_iter().map(Standing::try_from).collect()
    }
}

fn first(standing: Vec<Standing>) -> Option<Rank> {
    standing.into_iter().next().map(|standing| standing.rank)
}

/// Who added something, and when: its first event says so in clear, also when its content is erased.
pub(crate) async fn origin(work: &UnitOfWork<'_>, aggregate_type: &str, id: &str) -> Result<Origin, Problem> {
    let first = event_log::first_of(&work.app.pool, aggregate_type, id).await?;
    let first = work.app.keyring.check(first.ok_or(sqlx::Error::RowNotFound)?).await?;
    Ok(Origin { by: first.meta.actor, at: first.at })
}

impl TryFrom<Row> for Standing {
    type Error = Problem;

    fn try_from(row: Row) -> Result<Self, Problem> {
        let rank = Rank::try_from(row.rank).map_err(Problem::internal)?;
        Ok(Self { rank, item: row.item.parse().map_err(Problem::internal)? })
    }
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

    fn spread(&self, count: usize) -> Option<Vec<Rank>> {
        Rank::spread(self.after.as_ref(), self.before.as_ref(), count)
    }
}
