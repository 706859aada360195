//! Blocks and tasks know when persons last edited them, wherever they come from: from memory, from a snapshot of what was in
//! memory, or from their whole streams.

use std::fmt::Debug;

use command_api::app::Decide;
use command_api::app::{App, CommandMeta, Loaded};
use command_api::blocks::{Anchor, Begin, Block, BlockCommand, NewBlock};
use command_api::notes::NoteCommand;
use command_api::tasks::{Task, TaskCommand};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use shared::domain::blocks::{BlockType, Content};
use shared::domain::clock::Clock;
use shared::domain::id::{BlockId, NoteId, UserId};
use shared::domain::tasks::Details;

use crate::world::World;

/// What is asked of either side, by a policy or not, and whether the next one remembers it.
#[derive(Clone, Debug)]
struct Batch {
    asked: Vec<u8>,
    on_block: bool,
    by_policy: bool,
    forgets: bool,
}

fn of_block(asked: u8) -> BlockCommand {
    let edit =
        |block_type, content: Value| BlockCommand::Edit { block_type, content: content.as_object().cloned() };
    match asked {
        0 => edit(None, json!({"text": "One"})),
        1 => edit(None, json!({"text": "Two"})),
        2 => edit(None, json!({"checked": true})),
        3 => edit(None, json!({"checked": false, "text": "Three"})),
        4 => edit(Some(BlockType::Text), json!({})),
        5 => edit(Some(BlockType::Task), json!({})),
        6 => BlockCommand::Remove,
        _ => BlockCommand::Restore { anchor: Anchor::Former },
    }
}

fn of_task(asked: u8) -> TaskCommand {
    let retitle =
        |title: &str| TaskCommand::Retitle { title: title.to_owned().try_into().expect("a short text") };
    match asked {
        0 => retitle("One"),
        1 => retitle("Two"),
        2 => TaskCommand::Complete,
        3 => TaskCommand::Reopen,
        4 => TaskCommand::Describe { description: Some("More".to_owned().try_into().expect("a text")) },
        5 => retitle("Three"),
        6 => TaskCommand::Remove,
        _ => TaskCommand::Restore,
    }
}

/// A note with two task blocks, made in one append, and a task of the first one.
async fn note(world: &World, app: &App) -> String {
    let (note_id, block) = (NoteId(Clock::System.new_id()), BlockId(Clock::System.new_id()));
    let other = BlockId(Clock::System.new_id());
    let content = json!({"text": "First", "checked": false, "depth": 0});
    let content = Content::parse(BlockType::Task, content).expect("a content");
    let create = NoteCommand::Create {
        notebook_id: world.notebook.parse().expect("an id"),
        title: "Plans".to_owned().try_into().expect("a title"),
    };
    let blocks = [block, other].map(|id| NewBlock { id, block: content.clone() }).into();
    let owner = world.command_meta().caller.expect("somebody").user;
    let begin = Begin { note: note_id, create, blocks };
    app.carry_out(&world.command_meta(), &begin, &()).await.expect("it is made");
    app.snapshots.settled().await;
    // The second stands behind events of two other things in its append.
    agree::<Block>(world, app, &other.to_string()).await;
    let id = block.to_string();
    execute::<Task>(app, &world.command_meta(), &id, vec![add(note_id, owner)]).await;
    id
}

fn add(note: NoteId, owner: UserId) -> TaskCommand {
    TaskCommand::Add {
        note_id: Some(note),
        owner,
        title: "First".to_owned().try_into().expect("a short text"),
        completed: false,
        details: Details::default(),
    }
}

/// Whether it happened: what is not possible just now is refused.
async fn execute<A: Decide>(app: &App, meta: &CommandMeta, id: &str, commands: Vec<A::Command>) -> bool {
    let done = app.execute::<A>(meta, id, commands, &()).await.is_ok();
    app.snapshots.settled().await;
    done
}

/// From its last snapshot it is as from its whole stream.
async fn agree<A: Decide + Debug + PartialEq>(world: &World, app: &App, id: &str) {
    app.snapshots.settled().await;
    let loaded = world.app(1_000).load::<A>(id).await.expect("it loads");
    let whole = app.load_whole::<A>(id).await.expect("it loads");
    assert_eq!(Loaded { snapshot: 0, ..loaded }, whole);
}

#[test]
fn last_edits_are_the_same_from_memory_and_from_the_log() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let world = runtime.block_on(World::start());
    let batch = (vec(0..8_u8, 1..4), any::<bool>(), any::<bool>(), any::<bool>());
    let batch =
        batch.prop_map(|(asked, on_block, by_policy, forgets)| Batch { asked, on_block, by_policy, forgets });
    let history = (1..4_i64, vec(batch, 1..10));
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let (mut happened, mut tried) = (0, 0);
    let histories = std::iter::repeat_with(|| history.new_tree(&mut runner).expect("a history").current());
    for (every, batches) in histories.take(40) {
        runtime.block_on(async {
            let app = world.app(every);
            let id = note(&world, &app).await;
            for Batch { asked, on_block, by_policy, forgets } in batches {
                let used = if forgets { &world.app(every) } else { &app };
                let mut meta = world.command_meta();
                if by_policy {
                    "policy:sync".clone_into(&mut meta.actor);
                }
                let done = if on_block {
                    execute::<Block>(used, &meta, &id, asked.into_iter().map(of_block).collect()).await
                } else {
                    execute::<Task>(used, &meta, &id, asked.into_iter().map(of_task).collect()).await
                };
                tried += 1;
                happened += usize::from(done);
                agree::<Block>(&world, used, &id).await;
                agree::<Task>(&world, used, &id).await;
            }
        });
    }
    assert!(happened * 4 > tried, "{happened} of {tried} were possible");
}
