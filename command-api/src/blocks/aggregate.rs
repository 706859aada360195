//! The rules of a block, on one page.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::domain::blocks::{BlockEvent, BlockText, BlockType, Content, WholeBlock};
use shared::domain::id::NoteId;
use shared::domain::rank::Rank;
use shared::process::problem::Problem;

use super::commands::{Origin, authorize};
use super::{BlockCommand, BlockContext, BlockError, LastEdits, TaskFacts};
use crate::app::{At, Decide};
use crate::app::{Authorized, UnitOfWork};

/// A block, as far as its rules need it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Block {
    /// Not added.
    #[default]
    Missing,
    /// A part of its note.
    Live(Part),
    /// Taken out of its note; it can be restored.
    Removed(Part),
}

/// A block in a note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The note.
    pub note_id: NoteId,
    /// Its type and content.
    pub block: Content,
    /// Its place among the note's blocks.
    pub rank: Rank,
    /// When persons last changed what it has in common with its task.
    pub last_edits: LastEdits,
}

use BlockCommand as C;
use BlockEvent as E;

impl Block {
    /// The block, whether it is removed or not.
    pub fn part(&self) -> Option<&Part> {
        match self {
            Self::Missing => None,
            Self::Live(part) | Self::Removed(part) => Some(part),
        }
    }

    /// The block, if it is a part of its note now.
    pub fn live(&self) -> Option<&Part> {
        match self {
            Self::Missing | Self::Removed(_) => None,
            Self::Live(part) => Some(part),
        }
    }

    /// What it has in common with its task.
    pub fn task_facts(&self) -> TaskFacts {
        let Some(part) = self.part() else { return TaskFacts::default() };
        let done = part.block.checked();
        TaskFacts {
            alive: self.live().is_some() && done.is_some(),
            note: Some(part.note_id),
            text: part.block.text().and_then(|text| BlockText::try_from(text.to_owned()).ok()),
            done,
        }
    }

    /// When persons last changed that.
    pub fn last_edits(&self) -> LastEdits {
        self.part().map(|part| part.last_edits).unwrap_or_default()
    }

    fn evolve(&mut self, event: E) {
        let last_edits = self.last_edits();
        match (event, self) {
            (E::BlockAdded { note_id, block, rank }, this) => {
                *this = Self::Live(Part { note_id, block, rank, last_edits });
            }
            (E::BlockMoved { to, rank, whole: Some(WholeBlock { block, .. }), .. }, this) => {
                *this = Self::Live(Part { note_id: to, block, rank, last_edits });
            }
            (
                E::BlockEdited { block: new, .. } | E::BlockTypeChanged { block: new, .. },
                Self::Live(Part { block, .. }),
            ) => *block = new,
            (E::BlockMoved { rank: new, whole: None, .. }, Self::Live(Part { rank, .. })) => *rank = new,
            (E::BlockRemoved { .. }, this @ Self::Live(_)) => {
                if let Self::Live(part) = std::mem::take(this) {
                    *this = Self::Removed(part);
                }
            }
            (E::BlockRestored { rank, .. }, this @ Self::Removed(_)) => {
                if let Self::Removed(part) = std::mem::take(this) {
                    *this = Self::Live(Part { rank, ..part });
                }
            }
            // What an erased event left unmade stays so.
            (
                E::BlockEdited { .. }
                | E::BlockTypeChanged { .. }
                | E::BlockMoved { .. }
                | E::BlockRemoved { .. },
                Self::Missing | Self::Removed(_),
            )
            | (E::BlockRestored { .. }, Self::Missing | Self::Live(_)) => (),
        }
    }
}

impl Decide for Block {
    const SNAPSHOT_VERSION: i32 = 2;
    const MISSING: Self::Error = BlockError::Missing;

    fn creates(commands: &[C]) -> bool {
        matches!(commands.first(), Some(C::Add { .. }))
    }

    fn decide(&self, command: C, context: &BlockContext) -> Result<Vec<E>, BlockError> {
        match (self, command) {
            (Self::Missing, C::Add { note_id, block, .. }) => {
                Ok(vec![E::BlockAdded { note_id, block, rank: context.rank()? }])
            }
            (Self::Live(_) | Self::Removed(_), C::Add { .. }) => Err(BlockError::AlreadyExists),
            (
                Self::Missing,
                C::Edit { .. } | C::Become { .. } | C::Move { .. } | C::Remove | C::Restore { .. },
            ) => Err(BlockError::Missing),
            (Self::Removed(_), C::Edit { .. } | C::Become { .. } | C::Move { .. }) => {
                Err(BlockError::Removed)
            }

            (Self::Live(part), C::Edit { block_type, content }) => {
                let block = edited(&part.block, block_type, content)?;
                Ok(part.becomes(block))
            }
            (Self::Live(part), C::Become { block }) => Ok(part.becomes(block)),
            (Self::Live(part), C::Move { note_id, .. }) => {
                let rank = context.rank()?;
                let (from, to) = (part.note_id, note_id);
                if from == to && rank == part.rank {
                    return Ok(vec![]);
                }
                let whole = if from == to { None } else { Some(part.whole(context.origin()?)) };
                Ok(vec![E::BlockMoved { from, to, rank, whole }])
            }

            (Self::Live(part), C::Remove) => Ok(vec![E::BlockRemoved { note_id: part.note_id }]),
            (Self::Removed(_), C::Remove) | (Self::Live(_), C::Restore { .. }) => Ok(vec![]),
            (Self::Removed(part), C::Restore { .. }) => {
                Ok(vec![E::BlockRestored { note_id: part.note_id, rank: context.rank()? }])
            }
        }
    }

    fn apply_at(&mut self, event: E, at: At) {
        let before = self.task_facts();
        self.evolve(event);
        let after = self.task_facts();
        if let Self::Live(part) | Self::Removed(part) = self {
            part.last_edits.take(at, &before, &after);
        }
    }

    async fn authorize(
        &self,
        work: &mut UnitOfWork<'_>,
        id: &str,
        commands: &[C],
    ) -> Result<Authorized<BlockContext>, Problem> {
        authorize(self, work, id, commands).await
    }
}

impl Part {
    fn whole(&self, origin: Origin) -> WholeBlock {
        WholeBlock { block: self.block.clone(), added_by: origin.by, added_at: origin.at }
    }

    /// The event that gives it another content; none if it has that.
    fn becomes(&self, block: Content) -> Vec<E> {
        let note_id = self.note_id;
        if block == self.block {
            vec![]
        } else if block.block_type() == self.block.block_type() {
            vec![E::BlockEdited { note_id, block }]
        } else {
            vec![E::BlockTypeChanged { note_id, block }]
        }
    }
}

/// The content with some of its fields replaced. A block that changes its type keeps the fields that both types have.
fn edited(
    old: &Content,
    block_type: Option<BlockType>,
    new: Option<Map<String, Value>>,
) -> Result<Content, BlockError> {
    let mut new = new.unwrap_or_default();
    // Spans that are not replaced follow the text, and count what is kept of it.
    let text = new.get("text").filter(|_| !new.contains_key("spans")).and_then(Value::as_str);
    let old = match text.map(|text| BlockText::try_from(text.to_owned())) {
        Some(Ok(text)) => {
            new.insert("text".to_owned(), Value::String(text.clone().into()));
            old.clone().with_text(text)
        }
        Some(Err(_)) | None => old.clone(),
    };
    let mut fields = match old.data() {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    };
    let block_type = block_type.unwrap_or_else(|| old.block_type());
    if block_type != old.block_type() {
        fields = taken_over(&fields, block_type);
    }
    fields.extend(new);
    Content::parse(block_type, Value::Object(fields)).map_err(BlockError::Content)
}

/// The fields with which a block of another type begins.
fn taken_over(old: &Map<String, Value>, block_type: BlockType) -> Map<String, Value> {
    let (names, usual): (&[&str], _) = match block_type {
        BlockType::Text | BlockType::Header => (&["text", "spans"], json!({})),
        BlockType::Task => (&["text", "spans", "depth"], json!({"checked": false, "depth": 0})),
        BlockType::ListItem => (&["text", "spans", "depth"], json!({"ordered": false, "depth": 0})),
        // A quote's depth counts quotes.
        BlockType::Quote => (&["text", "spans"], json!({"depth": 1})),
        BlockType::Code => (&["text"], json!({"language": null})),
        BlockType::Raw => (&["text"], json!({})),
        BlockType::Rule | BlockType::Image | BlockType::Table => (&[], json!({})),
    };
    let usual = usual.as_object().cloned().unwrap_or_default();
    let kept = names.iter().filter_map(|name| Some(((*name).to_owned(), old.get(*name)?.clone())));
    usual.into_iter().chain(kept).collect()
}

impl BlockContext {
    fn rank(&self) -> Result<Rank, BlockError> {
        self.rank.clone().ok_or(BlockError::Unplaced)
    }

    fn origin(&self) -> Result<Origin, BlockError> {
        self.origin.clone().ok_or(BlockError::Unplaced)
    }
}

crate::aggregate!(Block, BlockEvent, BlockCommand, BlockError, BlockContext);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Refusal;
    use crate::blocks::Anchor;
    use chrono::DateTime;
    use cqrs_es::test::TestFramework;
    use uuid::Uuid;

    const END: Anchor = Anchor::End;

    /// With the rank of the place that was asked for.
    fn at(text: &str) -> TestFramework<Block> {
        TestFramework::with(BlockContext { rank: Some(rank(text)), origin: None })
    }

    fn block() -> TestFramework<Block> {
        at("a0")
    }

    fn note(n: u128) -> NoteId {
        NoteId(Uuid::from_u128(n))
    }

    fn rank(text: &str) -> Rank {
        Rank::try_from(text.to_owned()).expect("a rank")
    }

    fn content(block_type: BlockType, content: Value) -> Content {
        Content::parse(block_type, content).expect("a content")
    }

    fn text(text: &str) -> Content {
        content(BlockType::Text, json!({"text": text}))
    }

    fn bold(start: u32, end: u32) -> Value {
        json!({"start": start, "end": end, "kind": "bold"})
    }

    fn task(checked: bool) -> Content {
        content(
            BlockType::Task,
            json!({"text": "Call Bob", "spans": [bold(0, 4)], "checked": checked, "depth": 2}),
        )
    }

    fn added(block: Content) -> E {
        E::BlockAdded { note_id: note(1), block, rank: rank("a0") }
    }

    fn removed() -> E {
        E::BlockRemoved { note_id: note(1) }
    }

    fn edit(block_type: Option<BlockType>, content: Value) -> C {
        let Value::Object(content) = content else { panic!("{content} has no fields") };
        C::Edit { block_type, content: Some(content) }
    }

    /// What a block becomes; the first is what it was.
    fn becomes(old: Content, block_type: Option<BlockType>, new: Value, expected: Content) {
        let event = if old.block_type() == expected.block_type() {
            E::BlockEdited { note_id: note(1), block: expected }
        } else {
            E::BlockTypeChanged { note_id: note(1), block: expected }
        };
        block().given(vec![added(old)]).when(edit(block_type, new)).then_expect_events(vec![event]);
    }

    /// Where the refusal points to.
    fn refused(old: Content, block_type: Option<BlockType>, new: Value) -> String {
        let mut state = Block::default();
        state.evolve(added(old));
        match state.decide(edit(block_type, new), &BlockContext::default()) {
            Err(error @ BlockError::Content(_)) => error.fields().remove(0).pointer,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_block_is_added_once() {
        let add = || C::Add { note_id: note(1), block: text("Plans"), anchor: END };
        block().given_no_previous_events().when(add()).then_expect_events(vec![added(text("Plans"))]);
        for events in [vec![added(text("x"))], vec![added(text("x")), removed()]] {
            block().given(events).when(add()).then_expect_error(BlockError::AlreadyExists);
        }
    }

    #[test]
    fn a_missing_block_cannot_be_changed() {
        for command in [
            edit(None, json!({})),
            C::Become { block: text("x") },
            C::Move { note_id: note(1), anchor: END },
            C::Remove,
            C::Restore { anchor: END },
        ] {
            block().given_no_previous_events().when(command).then_expect_error(BlockError::Missing);
        }
    }

    #[test]
    fn a_removed_block_can_only_be_restored() {
        let given = || block().given(vec![added(task(true)), removed()]);
        for command in
            [edit(None, json!({})), C::Become { block: text("x") }, C::Move { note_id: note(1), anchor: END }]
        {
            given().when(command).then_expect_error(BlockError::Removed);
        }
        given().when(C::Remove).then_expect_events(vec![]);
        let restored = E::BlockRestored { note_id: note(1), rank: rank("a5") };
        let there = || at("a5").given(vec![added(task(true)), removed()]);
        there().when(C::Restore { anchor: END }).then_expect_events(vec![restored.clone()]);
        // It is what it was, where it is put back.
        let again = || at("a5").given(vec![added(task(true)), removed(), restored.clone()]);
        again().when(C::Become { block: task(true) }).then_expect_events(vec![]);
        again().when(C::Move { note_id: note(1), anchor: END }).then_expect_events(vec![]);
        again().when(C::Restore { anchor: END }).then_expect_events(vec![]);
        again().when(C::Remove).then_expect_events(vec![removed()]);
    }

    #[test]
    fn asking_for_what_already_holds_changes_nothing() {
        let whole = json!({"text": "Call Bob", "spans": [bold(0, 4)], "checked": true, "depth": 2});
        for command in [
            C::Edit { block_type: None, content: None },
            edit(Some(BlockType::Task), json!({})),
            edit(None, json!({"text": "Call Bob"})),
            edit(None, json!({"checked": true})),
            // What means the same is the same.
            edit(None, json!({"spans": [bold(0, 2), bold(2, 4)]})),
            edit(Some(BlockType::Task), whole),
            C::Become { block: task(true) },
            C::Move { note_id: note(1), anchor: END },
        ] {
            block().given(vec![added(task(true))]).when(command).then_expect_events(vec![]);
        }
    }

    #[test]
    fn what_is_not_given_stays() {
        becomes(task(false), None, json!({"checked": true}), task(true));
        let deeper = json!({"text": "Call Bob", "spans": [bold(0, 4)], "checked": true, "depth": 8});
        becomes(task(true), None, json!({"depth": 8}), content(BlockType::Task, deeper));
    }

    #[test]
    fn spans_stay_where_the_text_does() {
        let expected = |text: &str, spans: Value| {
            content(BlockType::Task, json!({"text": text, "spans": spans, "checked": true, "depth": 2}))
        };
        let new = |text: &str| json!({"text": text});
        becomes(task(true), None, new("Call Ada"), expected("Call Ada", json!([bold(0, 4)])));
        becomes(task(true), None, new("Now: Call Bob"), expected("Now: Call Bob", json!([bold(5, 9)])));
        becomes(task(true), None, new("Meet Bob"), expected("Meet Bob", json!([])));
        becomes(task(true), None, new(""), expected("", json!([])));
        // Line ends are counted as they are kept.
        becomes(task(true), None, new("Now:\r\nCall Bob"), expected("Now:\nCall Bob", json!([bold(5, 9)])));
        // If spans are given, they replace the old ones; if no text is given, they belong to the old text.
        let both = json!({"text": "Call Ada", "spans": [bold(5, 8)]});
        becomes(task(true), None, both, expected("Call Ada", json!([bold(5, 8)])));
        becomes(task(true), None, json!({"spans": []}), expected("Call Bob", json!([])));
        assert_eq!(refused(task(true), None, json!({"spans": [bold(5, 9)]})), "/content/spans/0/end");
    }

    #[test]
    fn another_type_takes_over_text_and_spans() {
        let spans = json!([bold(0, 4)]);
        let become_ = |block_type, new, expected| {
            becomes(task(true), Some(block_type), new, content(block_type, expected));
        };
        become_(BlockType::Text, json!({}), json!({"text": "Call Bob", "spans": spans}));
        become_(
            BlockType::Header,
            json!({"level": 2}),
            json!({"text": "Call Bob", "spans": spans, "level": 2}),
        );
        let item = json!({"text": "Call Bob", "spans": spans, "ordered": false, "depth": 2});
        become_(BlockType::ListItem, json!({}), item);
        become_(BlockType::Quote, json!({}), json!({"text": "Call Bob", "spans": spans, "depth": 1}));
        become_(BlockType::Code, json!({}), json!({"text": "Call Bob", "language": null}));
        become_(BlockType::Raw, json!({"format": "html"}), json!({"text": "Call Bob", "format": "html"}));
        become_(BlockType::Rule, json!({}), json!({}));
        // With another text at once, the spans that still fit.
        let renamed = json!({"text": "Call Ada", "spans": spans});
        become_(BlockType::Text, json!({"text": "Call Ada"}), renamed);
        // A block that was no task begins undone.
        let todo = json!({"text": "Plans", "checked": false, "depth": 0});
        becomes(text("Plans"), Some(BlockType::Task), json!({}), content(BlockType::Task, todo));
    }

    #[test]
    fn what_a_block_cannot_hold_is_refused_where_it_is() {
        assert_eq!(refused(text("x"), Some(BlockType::Header), json!({})), "/content/level");
        assert_eq!(refused(text("x"), Some(BlockType::Header), json!({"level": 7})), "/content/level");
        assert_eq!(refused(text("x"), Some(BlockType::Raw), json!({})), "/content/format");
        assert_eq!(refused(text("x"), Some(BlockType::Image), json!({})), "/content/src");
        assert_eq!(refused(text("x"), None, json!({"checked": true})), "/content/checked");
        assert_eq!(refused(text("x"), None, json!({"text": null})), "/content/text");
        assert_eq!(refused(text("x"), None, json!({"text": 7, "spans": []})), "/content/text");
        assert_eq!(refused(text("x"), None, json!({"a/b~c": 1})), "/content/a~1b~0c");
        assert_eq!(refused(task(true), None, json!({"depth": 9})), "/content/depth");
        assert_eq!(refused(task(true), None, json!({"checked": 1})), "/content/checked");
        let rule = content(BlockType::Rule, json!({}));
        assert_eq!(refused(rule.clone(), None, json!({"text": "x"})), "/content/text");
        assert_eq!(refused(rule, Some(BlockType::Text), json!({})), "/content/text");
    }

    #[test]
    fn a_move_within_the_note_says_only_the_rank() {
        let moved = |rank| E::BlockMoved { from: note(1), to: note(1), rank, whole: None };
        at("a4")
            .given(vec![added(text("x"))])
            .when(C::Move { note_id: note(1), anchor: END })
            .then_expect_events(vec![moved(rank("a4"))]);
        at("a4")
            .given(vec![added(text("x")), moved(rank("a4"))])
            .when(C::Move { note_id: note(1), anchor: END })
            .then_expect_events(vec![]);
    }

    #[test]
    fn a_move_to_another_note_carries_all() {
        let origin = Origin { by: "ada".to_owned(), at: DateTime::UNIX_EPOCH };
        let whole =
            WholeBlock { block: task(true), added_by: "ada".to_owned(), added_at: DateTime::UNIX_EPOCH };
        let moved = E::BlockMoved { from: note(1), to: note(2), rank: rank("a0"), whole: Some(whole) };
        let there = || C::Move { note_id: note(2), anchor: END };
        let given = |origin| {
            let context = BlockContext { rank: Some(rank("a0")), origin };
            TestFramework::<Block>::with(context).given(vec![added(task(true))])
        };
        given(Some(origin)).when(there()).then_expect_events(vec![moved.clone()]);
        // Without its past it would be lost with the key of the note before.
        given(None).when(there()).then_expect_error(BlockError::Unplaced);
        // Also when nothing else is left of it.
        for before in [vec![], vec![added(text("x"))]] {
            let events = [before, vec![moved.clone()]].concat();
            block().given(events.clone()).when(C::Become { block: task(true) }).then_expect_events(vec![]);
            let removed = E::BlockRemoved { note_id: note(2) };
            block().given(events).when(C::Remove).then_expect_events(vec![removed]);
        }
    }

    #[test]
    fn a_place_that_nobody_has_looked_for_is_none() {
        let block = || TestFramework::<Block>::with(BlockContext::default());
        let add = C::Add { note_id: note(1), block: text("x"), anchor: END };
        block().given_no_previous_events().when(add).then_expect_error(BlockError::Unplaced);
        block()
            .given(vec![added(text("x"))])
            .when(C::Move { note_id: note(1), anchor: END })
            .then_expect_error(BlockError::Unplaced);
        block()
            .given(vec![added(text("x")), removed()])
            .when(C::Restore { anchor: END })
            .then_expect_error(BlockError::Unplaced);
    }
}
