//! The permission table against the real program: each action by each caller is answered as its rule says, and what a
//! caller may not see looks the same as what is not there.

mod requests;
mod world;

use shared::domain::access::{Account, Action, Answer, On, Role, Situation, State, Way};

use requests::statuses;
use world::{Caller, Things, World};

/// What is asked for: an action on a thing, if it is about one.
#[derive(Clone, Copy, Debug)]
struct Asked {
    action: Action,
    on: Option<On>,
}

/// Every action that somebody can ask for over HTTP or on a socket, on everything that it may be about.
fn asked() -> impl Iterator<Item = Asked> {
    let actions = Action::ALL.iter().copied().filter(|action| action.way() != Way::Policy);
    actions.flat_map(|action| {
        let things = action.rule().on;
        let nothing = things.is_empty().then_some(Asked { action, on: None });
        nothing.into_iter().chain(things.iter().map(move |on| Asked { action, on: Some(*on) }))
    })
}

impl Asked {
    /// Whether somebody can ask for it on what belongs to others: a task without a note is added to one's own.
    fn names_others(self) -> bool {
        self.on.is_some() && !matches!((self.action, self.on), (Action::TasksAdd, Some(On::Person)))
    }

    fn due(self, caller: Caller, there: bool) -> Answer {
        let account = caller.is_signed_in().then_some(Account::User);
        let role = (there && caller == Caller::Owner).then_some(Role::Owner);
        self.action.rule().answer(Situation { account, role, state: State::Live })
    }
}

/// Asks as each caller, the owner last: what was asked for is done then.
async fn faults(world: &World, asked: Asked) -> Vec<String> {
    let (things, absent) = (world.things(asked.on).await, Things::absent(asked.on));
    let mut faults = Vec::new();
    for caller in Caller::ALL {
        if caller == Caller::Stranger && asked.on.is_some() && !asked.names_others() {
            continue;
        }
        let due = asked.due(caller, true);
        let said = world.ask(caller, asked.action, &things).await;
        if !statuses(asked.action, due).contains(&said.status) {
            faults.push(format!("{asked:?} by {caller:?} is {due:?}, but was answered {said:?}"));
        }
        if !asked.names_others() {
            continue;
        }
        let unseen = asked.due(caller, false);
        let missing = world.ask(caller, asked.action, &absent).await;
        if !statuses(asked.action, unseen).contains(&missing.status) {
            faults.push(format!(
                "{asked:?} by {caller:?} on nothing is {unseen:?}, but was answered {missing:?}"
            ));
        }
        if due == unseen && said != missing {
            faults.push(format!("{asked:?} by {caller:?} tells that it is there: {said:?}, {missing:?}"));
        }
    }
    faults
}

#[tokio::test]
async fn every_action_is_answered_as_the_table_says() {
    let world = World::start().await;
    let mut all = Vec::new();
    let mut count = 0;
    for asked in asked() {
        all.extend(faults(&world, asked).await);
        count += 1;
    }
    assert!(count >= 40, "only {count} were asked for");
    assert!(all.is_empty(), "{} faults:\n{}", all.len(), all.join("\n"));
}
