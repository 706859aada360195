//! Grants of every kind: on a notebook or on a note, to a person, to everyone, to the public, and those that ended.

use std::collections::BTreeMap;

use serde_json::json;
use shared::domain::id::UserId;
use uuid::Uuid;

use crate::world::{ADA, BOB, World, world};

const EVERYONE: Uuid = Uuid::nil();
const PUBLIC: Uuid = Uuid::max();

fn address(module: &str, id: u128) -> String {
    format!("/{module}/{}", Uuid::from_u128(id))
}

fn scope(kind: &str, id: u128) -> String {
    format!("{kind}:{}", Uuid::from_u128(id))
}

/// Ada has notebook 1 with notes 2 and 3 and a task 4 of note 2. Bob has nothing.
async fn furnished() -> World {
    let world = world().await;
    world.user(ADA, "ada").await;
    world.user(BOB, "bob").await;
    world.notebook(1, ADA, 0).await;
    world.note(2, 1, 1).await;
    world.note(3, 1, 2).await;
    world.task(4, Some(2), json!({})).await;
    world
}

/// What Bob gets of notebook 1, notes 2 and 3, and task 4; the role, or the status when it is refused.
async fn bobs(world: &World) -> Vec<String> {
    let mut seen = Vec::new();
    for address in [address("notebooks", 1), address("notes", 2), address("notes", 3), address("tasks", 4)] {
        let answer = world.get(BOB, &address).await;
        let role = answer.body["role"].as_str().map(ToOwned::to_owned);
        seen.push(role.unwrap_or_else(|| answer.status.to_string()));
    }
    seen
}

#[tokio::test]
async fn who_is_granted_a_note_sees_it_with_its_tasks_and_nothing_beside_it() {
    let world = furnished().await;
    assert_eq!(bobs(&world).await, ["404"; 4]);
    world.grant(&scope("note", 2), BOB.0, "editor").await;
    assert_eq!(bobs(&world).await, ["404", "editor", "404", "editor"]);
    assert_eq!(world.get(BOB, "/notes").await.items("title"), ["2"]);
    assert_eq!(world.get(BOB, "/tasks").await.items("title"), ["4"]);
    assert!(world.get(BOB, "/notebooks").await.items("id").is_empty());
    let of_the_notebook = format!("notebook_id={}", Uuid::from_u128(1));
    assert_eq!(world.get(BOB, &format!("/notes?{of_the_notebook}")).await.items("role"), ["editor"]);
    assert_eq!(world.get(BOB, &format!("/tasks?{of_the_notebook}")).await.items("role"), ["editor"]);
}

#[tokio::test]
async fn of_two_grants_the_higher_one_counts() {
    let world = furnished().await;
    world.share(1, BOB, "viewer").await;
    world.grant(&scope("note", 2), BOB.0, "editor").await;
    assert_eq!(bobs(&world).await, ["viewer", "editor", "viewer", "editor"]);
    assert_eq!(world.get(BOB, "/notes").await.items("role"), ["viewer", "editor"]);
    world.grant(&scope("notebook", 1), EVERYONE, "editor").await;
    assert_eq!(bobs(&world).await, ["editor"; 4]);
    assert_eq!(world.get(BOB, "/notebooks").await.items("role"), ["editor"]);
}

#[tokio::test]
async fn the_public_only_views() {
    let world = furnished().await;
    world.grant(&scope("notebook", 1), PUBLIC, "editor").await;
    assert_eq!(bobs(&world).await, ["viewer"; 4]);
}

#[tokio::test]
async fn a_grant_that_ended_shows_nothing() {
    let world = furnished().await;
    for principal in [BOB.0, EVERYONE, PUBLIC] {
        world.grant(&scope("notebook", 1), principal, "editor").await;
        world.grant(&scope("note", 2), principal, "editor").await;
    }
    world.write(&format!("update members set until = 1000001 where principal <> '{ADA}'")).await;
    assert_eq!(bobs(&world).await, ["404"; 4]);
    for list in ["/notebooks", "/notes", "/tasks"] {
        assert!(world.get(BOB, list).await.items("id").is_empty(), "{list}");
    }
}

#[tokio::test]
async fn everyones_grant_that_is_quarantined_is_withheld_from_everyone() {
    let world = furnished().await;
    world.grant(&scope("notebook", 1), EVERYONE, "viewer").await;
    let key = format!("{}/{EVERYONE}", scope("notebook", 1));
    world.quarantined("members", &key, &format!("{},everyone", scope("notebook", 1))).await;
    assert_eq!(bobs(&world).await, ["503"; 4]);
    for list in ["/notebooks", "/notes", "/tasks"] {
        let list = world.get(BOB, list).await;
        assert_eq!((list.items("id").len(), &list.body["withheld"]), (0, &json!(true)));
    }
    // Who has one of its own has lost nothing.
    assert_eq!(world.get(ADA, "/notes").await.items("title"), ["3", "2"]);
}

/// Numbers that look random, the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

const ROLES: [&str; 3] = ["viewer", "editor", "owner"];

/// Grants as they were made, and the notebook of each note.
#[derive(Default)]
struct Tree {
    grants: Vec<(String, Uuid, usize)>,
    notes: BTreeMap<u128, u128>,
}

impl Tree {
    /// By the rules alone: the highest of all grants on these containers that mean this person.
    fn role(&self, person: UserId, containers: &[String]) -> Option<&'static str> {
        let means = |grant: &&(String, Uuid, usize)| {
            containers.contains(&grant.0) && [person.0, EVERYONE, PUBLIC].contains(&grant.1)
        };
        let role =
            |(_, principal, role): &(String, Uuid, usize)| if *principal == PUBLIC { 0 } else { *role };
        self.grants.iter().filter(means).map(role).max().map(|role| ROLES[role])
    }
}

/// Four notebooks, twelve notes with a task each, and grants on some.
async fn grown(random: &mut Random) -> (World, Tree) {
    let (world, mut tree) = (world().await, Tree::default());
    world.user(ADA, "ada").await;
    world.user(BOB, "bob").await;
    let at = "timestamptz '2026-01-01Z'";
    for notebook in 1..=4u128 {
        let id = Uuid::from_u128(notebook);
        world
            .write(&format!(
                "insert into notebooks values ('{id}', 'n', '', '{ADA}', {at}, '{ADA}', {at}, 1)"
            ))
            .await;
    }
    for note in 11..=22 {
        let notebook = u128::from(1 + random.below(4));
        // Some at the same time.
        world.note(note, notebook, i32::try_from(random.below(6)).expect("small")).await;
        world.task(note + 100, Some(note), json!({})).await;
        tree.notes.insert(note, notebook);
    }
    for _ in 0..random.below(16) {
        let container = match random.below(3) {
            0 => scope("notebook", u128::from(1 + random.below(4))),
            _ => scope("note", u128::from(11 + random.below(12))),
        };
        let principals = [ADA.0, ADA.0, ADA.0, BOB.0, BOB.0, BOB.0, EVERYONE, PUBLIC];
        let principal = principals[usize::try_from(random.below(8)).expect("small")];
        if tree.grants.iter().all(|(of, who, _)| (of, who) != (&container, &principal)) {
            let role = usize::try_from(random.below(3)).expect("small");
            world.grant(&container, principal, ROLES[role]).await;
            tree.grants.push((container, principal, role));
        }
    }
    (world, tree)
}

/// All pages of a list, as ids with roles.
async fn pages(world: &World, person: UserId, list: &str) -> Vec<(String, String)> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(person, &format!("{list}?limit=3{cursor}")).await;
        items.extend(page.items("id").into_iter().zip(page.items("role")));
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

#[tokio::test]
async fn lists_and_single_reads_of_random_trees_are_what_the_rules_say() {
    for seed in 0..12 {
        let (world, tree) = grown(&mut Random(seed)).await;
        for person in [ADA, BOB] {
            let mut notes = Vec::new();
            let mut tasks = Vec::new();
            for (note, notebook) in &tree.notes {
                let role = tree.role(person, &[scope("note", *note), scope("notebook", *notebook)]);
                for (module, id) in [("notes", *note), ("tasks", note + 100)] {
                    let answer = world.get(person, &address(module, id)).await;
                    assert_eq!(answer.body["role"].as_str(), role, "seed {seed}, {module} {id}");
                }
                let role = role.map(ToOwned::to_owned);
                notes.extend(role.clone().map(|role| (Uuid::from_u128(*note).to_string(), role)));
                tasks.extend(role.map(|role| (Uuid::from_u128(note + 100).to_string(), role)));
            }
            for (list, mut wanted) in [("/notes", notes), ("/tasks", tasks)] {
                let mut shown = pages(&world, person, list).await;
                let newest_first: Vec<_> = world.get(person, &format!("{list}?limit=200")).await.items("id");
                assert!(
                    newest_first.iter().eq(shown.iter().map(|(id, _)| id)),
                    "seed {seed}, pages of {list}"
                );
                shown.sort_unstable();
                wanted.sort_unstable();
                assert_eq!(shown, wanted, "seed {seed}, {list}");
            }
            let mut notebooks = pages(&world, person, "/notebooks").await;
            notebooks.sort_unstable();
            let seen = (1..=4).filter_map(|notebook| {
                let role = tree.role(person, &[scope("notebook", notebook)])?;
                Some((Uuid::from_u128(notebook).to_string(), role.to_owned()))
            });
            assert_eq!(notebooks, seen.collect::<Vec<_>>(), "seed {seed}");
        }
    }
}
