//! Reading lists: page by page, each thing once, with cursors that cannot be made or passed on.

use crate::world::{ADA, BOB, World, world};
use serde_json::json;
use uuid::Uuid;

/// Follows the cursors to the end; `meanwhile` happens after each page.
pub(crate) async fn walk(
    world: &World,
    list: &str,
    field: &str,
    mut meanwhile: impl AsyncFnMut(usize),
) -> Vec<String> {
    let (mut seen, mut address) = (Vec::new(), list.to_owned());
    for page in 0..100 {
        let answer = world.get(ADA, &address).await;
        seen.extend(answer.items(field));
        let Some(cursor) = answer.body["next_cursor"].as_str() else { return seen };
        address = format!("{list}&cursor={cursor}");
        meanwhile(page).await;
    }
    panic!("the list does not end")
}

#[tokio::test]
async fn an_empty_list_still_says_how_far_it_was_read() {
    let world = world().await;
    for list in ["/notes", "/notebooks"] {
        let empty = world.get(ADA, list).await;
        assert_eq!(empty.body, json!({"items": [], "next_cursor": null}));
        assert_eq!(empty.header("position"), "0000000a-7");
    }
}

#[tokio::test]
async fn each_note_comes_once_newest_first_while_others_arrive() {
    let world = world().await;
    world.notebook(1, ADA, 0).await;
    world.notebook(2, ADA, 0).await;
    world.notebook(3, BOB, 0).await;
    // Two of each minute: a page may end between equal times.
    for number in 0..20_u8 {
        world.note(100 + u128::from(number), 1 + u128::from(number % 3 % 2), i32::from(number / 2)).await;
        world.note(500 + u128::from(number), 3, i32::from(number)).await;
    }
    let seen = walk(&world, "/notes?limit=3", "title", async |page| {
        world.note(900 + page as u128, 1, 600).await;
    })
    .await;
    assert_eq!(seen, (100..120).rev().map(|number| number.to_string()).collect::<Vec<_>>());
    let one = format!("/notes?notebook_id={}&limit=4", Uuid::from_u128(2));
    let wanted = (0..20).rev().filter(|number| number % 3 % 2 == 1).map(|number| (100 + number).to_string());
    assert_eq!(walk(&world, &one, "title", async |_| ()).await, wanted.collect::<Vec<_>>());
}

#[tokio::test]
async fn each_notebook_comes_once_newest_first_while_others_arrive() {
    let world = world().await;
    for number in 0..7_u8 {
        world.notebook(100 + u128::from(number), ADA, i32::from(number)).await;
    }
    let seen = walk(&world, "/notebooks?limit=2", "name", async |page| {
        world.notebook(900 + page as u128, ADA, 600).await;
    })
    .await;
    assert_eq!(seen, ["n6", "n5", "n4", "n3", "n2", "n1", "n0"]);
}

#[tokio::test]
async fn a_page_that_ends_with_the_list_has_no_cursor() {
    let world = world().await;
    for number in 0..3_u8 {
        world.notebook(100 + u128::from(number), ADA, i32::from(number)).await;
    }
    assert_eq!(world.get(ADA, "/notebooks?limit=3").await.body["next_cursor"], json!(null));
    assert!(world.get(ADA, "/notebooks?limit=2").await.body["next_cursor"].is_string());
}

#[tokio::test]
async fn a_cursor_serves_nobody_else_and_nothing_else() {
    let world = world().await;
    world.notebook(1, ADA, 0).await;
    for number in 0..3_u8 {
        world.note(100 + u128::from(number), 1, i32::from(number)).await;
    }
    let first = world.get(ADA, "/notes?limit=1").await;
    let cursor = first.body["next_cursor"].as_str().expect("more").to_owned();
    assert_eq!(
        world.get(ADA, &format!("/notes?limit=2&cursor={cursor}")).await.items("title"),
        ["101", "100"]
    );
    let (all_but, end) = cursor.split_at(cursor.len() - 1);
    let (begin, but_all) = cursor.split_at(1);
    let other = |letter| if letter == "A" { "B" } else { "A" };
    let [changed, begun_otherwise] =
        [format!("{all_but}{}", other(end)), format!("{}{but_all}", other(begin))];
    let filtered = format!("/notes?notebook_id={}&cursor={cursor}", Uuid::from_u128(1));
    for (user, address) in [
        (BOB, format!("/notes?cursor={cursor}")),
        (ADA, format!("/notebooks?cursor={cursor}")),
        (ADA, filtered),
        (ADA, format!("/notes?cursor={begun_otherwise}")),
        (ADA, format!("/notes?cursor={changed}")),
        (ADA, "/notes?cursor=".to_owned()),
        (ADA, "/notes?cursor=%00".to_owned()),
    ] {
        assert_eq!(world.get(user, &address).await.refusal(), (400, "bad-cursor"), "{address}");
    }
}

#[tokio::test]
async fn a_limit_is_1_to_200_and_50_when_not_said() {
    let world = world().await;
    world.notebook(1, ADA, 0).await;
    for number in 0..51_u8 {
        world.note(100 + u128::from(number), 1, i32::from(number)).await;
    }
    assert_eq!(world.get(ADA, "/notes").await.items("id").len(), 50);
    assert_eq!(world.get(ADA, "/notes?limit=200").await.items("id").len(), 51);
    for wrong in ["limit=0", "limit=201", "limit=-1", "limit=x", "limit=", "limit=1&limit=2", "offset=1"] {
        assert_eq!(world.get(ADA, &format!("/notes?{wrong}")).await.refusal(), (400, "bad-query"), "{wrong}");
        assert_eq!(world.get(ADA, &format!("/notebooks?{wrong}")).await.refusal().0, 400, "{wrong}");
    }
    assert_eq!(world.get(ADA, "/me?x=1").await.refusal(), (400, "bad-query"));
}
