//! How fast the engine folds: run once by hand.
#![expect(clippy::print_stdout, clippy::unwrap_used, unused, reason = "a measurement")]
#[path = "../tests/world/mod.rs"]
mod world;
use world::*;
#[tokio::main]
async fn main() {
    let mut world = World::new().await;
    world.append(a_bit_of_all(0)).await;
    let notes: u128 = 50_000;
    for chunk in 0..50u128 {
        let mut facts = Vec::new();
        for note in 0..1000u128 {
            let n = 1_000 + chunk * 1000 + note;
            facts.push(note_created(n, 10, "Dreams of a note with a title"));
            facts.push(note_retitled(n, "Plans for the week to come"));
            facts.push(fact("note", n, "NoteMoved", serde_json::json!({"from": id(10), "to": id(11)})));
            facts
                .push(note_retitled(1_000 + (note * 7919 + chunk * 13) % (chunk * 1000 + 1).max(1), "Again"));
        }
        world.append(facts).await;
    }
    sqlx::query("analyze es.event").execute(&world.owner).await.unwrap();
    for round in 0..3 {
        let mut engine = world.engine(&format!("read_round{round}")).await;
        let start = std::time::Instant::now();
        engine.catch_up().await.unwrap();
        let s = start.elapsed().as_secs_f64();
        println!("{} events in {s:.2} s: {:.0}/s", engine.position(), engine.position() as f64 / s);
    }
    use projector::projections::*;
}
