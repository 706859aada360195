//! What a command decides on is named in its append: when something of it changes right before, on the other instance, the
//! command is decided again.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use command_api::app::{Answer, App, CommandMeta, Decide, Decision, UnitOfWork};
use command_api::blocks::{Anchor, Block, BlockCommand};
use command_api::members::{Member, MemberCommand};
use command_api::notes::{Note, NoteCommand};
use command_api::sessions::{Session, SessionCommand};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use shared::domain::access::{Action, Container, Role};
use shared::domain::clock::random;
use shared::domain::id::UserId;
use shared::process::problem::Problem;

use crate::members::{member, user};
use crate::pair::{Pair, TestRequest, Tokens, id, new_id};

/// A command that is decided on the first instance, and then waits until something has happened on the other one.
struct Interrupted<'a, A: Decide> {
    id: String,
    command: A::Command,
    meanwhile: Mutex<Option<BoxFuture<'a, ()>>>,
    attempts: AtomicUsize,
    /// The containers that the last attempt decided on.
    containers: Mutex<HashSet<String>>,
}

impl<'a, A: Decide> Interrupted<'a, A> {
    fn new(id: &str, command: A::Command, meanwhile: impl Future<Output = ()> + Send + 'a) -> Self {
        let meanwhile = Mutex::new(Some(meanwhile.boxed()));
        let (attempts, containers) = (AtomicUsize::new(0), Mutex::default());
        Self { id: id.to_owned(), command, meanwhile, attempts, containers }
    }
}

impl<A: Decide> Decision for Interrupted<'_, A> {
    async fn decide(&self, work: &mut UnitOfWork<'_>) -> Result<Answer, Problem> {
        let commands = vec![self.command.clone()];
        let loaded = work.load_to_change::<A>(&self.id).await?;
        let authorized = loaded.state.authorize(work, &self.id, &commands).await?;
        let version = work.change(&self.id, &loaded, commands, authorized)?;
        self.attempts.fetch_add(1, Ordering::Relaxed);
        let containers = work.reads().iter().filter(|read| read.access_only);
        *self.containers.lock().expect("nobody panics while holding it") =
            containers.map(|read| format!("{}:{}", read.aggregate_type, read.aggregate_id)).collect();
        let meanwhile = self.meanwhile.lock().expect("nobody panics while holding it").take();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        Ok(Answer { id: self.id.clone(), version })
    }
}

/// A notebook of Ada's with a note and a block, another notebook with a note, and Bob, who edits in the first.
struct World {
    pair: Pair,
    ada: Tokens,
    bob: Tokens,
    lab: String,
    den: String,
    note: String,
    elsewhere: String,
    block: String,
    /// The containers that the last command decided on: what changes one of them makes it be decided again, but for
    /// another name (see the tests of appending).
    named: Mutex<HashSet<String>>,
}

impl World {
    async fn new() -> Self {
        let pair = Pair::start().await;
        let (ada, bob) = (pair.person("ada").await, pair.person("bob").await);
        let (lab, den) = (pair.notebook(&ada, "Lab").await, pair.notebook(&ada, "Den").await);
        let (note, elsewhere) = (pair.note(&ada, &lab).await, pair.note(&ada, &den).await);
        let body = json!({"note_id": note, "type": "text", "content": {"text": "One"}});
        let block = pair.send(0, TestRequest::post("/blocks", &body).by(&ada)).await;
        let block = id(&block.body);
        let world = Self { pair, ada, bob, lab, den, note, elsewhere, block, named: Mutex::default() };
        world.grant(&world.lab(), &world.bob(), Role::Editor).await;
        world
    }

    /// The last command named these containers, and no other ones.
    fn named(&self, containers: &[&String]) {
        let expected: HashSet<String> = containers.iter().map(|name| (*name).clone()).collect();
        assert_eq!(*self.named.lock().expect("nobody panics while holding it"), expected);
    }

    fn lab(&self) -> String {
        format!("notebook:{}", self.lab)
    }

    fn den(&self) -> String {
        format!("notebook:{}", self.den)
    }

    fn note(&self) -> String {
        format!("note:{}", self.note)
    }

    fn bob(&self) -> String {
        user(&self.bob)
    }

    async fn grant(&self, on: &str, who: &str, role: Role) {
        self.pair.set_role(1, &self.ada, (on, who), Some(role)).await.expect("an owner may");
    }

    async fn remove(&self, on: &str, who: &str) {
        self.pair.set_role(1, &self.ada, (on, who), None).await.expect("an owner may");
    }

    async fn patch(&self, path: &str, body: &Value) {
        let answer = self.pair.send(1, TestRequest::patch(path, body).by(&self.ada)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    async fn rename(&self, notebook: &str) {
        self.patch(&format!("/notebooks/{notebook}"), &json!({"name": new_id()})).await;
    }

    async fn logs_out(&self, who: &Tokens) {
        let answer = self.pair.send(1, TestRequest::command("/auth/logout").by(who)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// The command by that person while something happens: how often it was decided, and the refusal if it was one.
    async fn asks<A: Decide>(
        &self,
        by: &Tokens,
        id: &str,
        command: A::Command,
        meanwhile: impl Future<Output = ()> + Send,
    ) -> (usize, &'static str) {
        let app: &App = self.pair.app(0);
        let caller = app.verifier.verify(&by.access).expect("a good token");
        let meta = CommandMeta { caller: Some(caller), ..CommandMeta::new(&by.user, "named", "POST /here") };
        let asked = Interrupted::<A>::new(id, command, meanwhile);
        let answer = app.carry_out(&meta, &asked, &()).await;
        let slug = answer.map_or_else(|problem| problem.kind.slug(), |_| "");
        *self.named.lock().expect("nobody panics while holding it") =
            asked.containers.into_inner().expect("nobody panics while holding it");
        (asked.attempts.into_inner(), slug)
    }

    /// Somebody changes their profile.
    async fn edits(&self, who: &Tokens) {
        let profile = json!({"display_name": new_id()});
        let answer = self.pair.send(1, TestRequest::patch("/me", &profile).by(who)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    async fn retitle(&self, note: &str) {
        self.patch(&format!("/notes/{note}"), &json!({"title": new_id()})).await;
    }

    async fn move_to(&self, notebook: &str) {
        self.patch(&format!("/notes/{}", self.note), &json!({"notebook_id": notebook})).await;
    }
}

fn edit() -> BlockCommand {
    let content = json!({"text": new_id()}).as_object().cloned();
    BlockCommand::Edit { block_type: None, content }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_names_session_note_notebook_and_grant() {
    let world = World::new().await;
    let (lab, bob, note) = (world.lab(), world.bob(), world.note());
    let asks = async |happens: BoxFuture<'_, ()>| {
        world.asks::<Block>(&world.bob, &world.block, edit(), happens).await
    };
    assert_eq!(asks(async {}.boxed()).await, (1, ""));
    world.named(&[&note, &lab]);
    assert_eq!(asks(world.rename(&world.lab).boxed()).await, (1, ""), "another name");
    assert_eq!(asks(world.retitle(&world.note).boxed()).await, (1, ""), "another title");
    // If that grant goes, but another is enough, it stands.
    world.grant(&note, &bob, Role::Editor).await;
    assert_eq!(asks(world.remove(&lab, &bob).boxed()).await, (2, ""), "another grant");
    // The parent counts also when the grant is the note's own.
    world.named(&[&note, &lab]);
    assert_eq!(asks(world.remove(&note, &bob).boxed()).await.1, "block-missing", "the note's grant");
    world.grant(&lab, "everyone", Role::Editor).await;
    let less = world.grant(&lab, "everyone", Role::Viewer);
    assert_eq!(asks(less.boxed()).await.1, "editor-needed", "everyone's grant");
    world.grant(&lab, "everyone", Role::Editor).await;
    world.grant(&note, &bob, Role::Editor).await;
    assert_eq!(asks(world.move_to(&world.den).boxed()).await.1, "block-missing", "where the note is");
    world.move_to(&world.lab).await;
    assert_eq!(asks(world.logs_out(&world.bob).boxed()).await.1, "session-ended", "the session");
    world.pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_begins_a_note_names_the_notebook_and_the_grant() {
    let world = World::new().await;
    let (lab, bob) = (world.lab(), world.bob());
    let begin = || NoteCommand::Create {
        notebook_id: world.lab.parse().expect("an id"),
        title: "Dreams".to_owned().try_into().expect("a title"),
    };
    let asks =
        async |happens: BoxFuture<'_, ()>| world.asks::<Note>(&world.bob, &new_id(), begin(), happens).await;
    assert_eq!(asks(async {}.boxed()).await, (1, ""));
    world.named(&[&lab]);
    assert_eq!(asks(world.rename(&world.lab).boxed()).await, (1, ""), "another name");
    let less = world.grant(&lab, &bob, Role::Viewer);
    assert_eq!(asks(less.boxed()).await.1, "editor-needed", "the grant");
    world.pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_names_both_notebooks_and_the_grant_at_each() {
    let world = World::new().await;
    let (lab, den, bob) = (world.lab(), world.den(), world.bob());
    world.grant(&lab, &bob, Role::Owner).await;
    world.grant(&den, &bob, Role::Owner).await;
    let asks = async |notebook: &str, happens: BoxFuture<'_, ()>| {
        let to = NoteCommand::Move { notebook_id: notebook.parse().expect("an id") };
        world.asks::<Note>(&world.bob, &world.note, to, happens).await
    };
    assert_eq!(asks(&world.den, world.rename(&world.den).boxed()).await, (1, ""), "the target's name");
    world.named(&[&world.note(), &lab, &den]);
    assert_eq!(asks(&world.lab, world.rename(&world.den).boxed()).await, (1, ""), "the source's name");
    world.named(&[&world.note(), &lab, &den]);
    let less = world.grant(&den, &bob, Role::Viewer);
    assert_eq!(asks(&world.den, less.boxed()).await.1, "editor-needed", "the grant at the target");
    world.grant(&den, &bob, Role::Editor).await;
    let less = world.grant(&lab, &bob, Role::Editor);
    assert_eq!(asks(&world.den, less.boxed()).await.1, "owner-needed", "the grant at the source");
    world.pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_goes_to_another_note_names_all_of_both() {
    let world = World::new().await;
    let (lab, den, bob) = (world.lab(), world.den(), world.bob());
    world.grant(&den, &bob, Role::Editor).await;
    let asks = async |note: &str, happens: BoxFuture<'_, ()>| {
        let to = BlockCommand::Move { note_id: note.parse().expect("an id"), anchor: Anchor::End };
        world.asks::<Block>(&world.bob, &world.block, to, happens).await
    };
    let (here, there) = (&world.note, &world.elsewhere);
    let all = [&world.note(), &format!("note:{there}"), &lab, &den];
    for note in [there, here] {
        assert_eq!(asks(note, async {}.boxed()).await, (1, ""));
        world.named(&all);
    }
    assert_eq!(asks(there, world.rename(&world.lab).boxed()).await, (1, ""), "its notebook's name");
    assert_eq!(asks(here, world.retitle(there).boxed()).await, (1, ""), "its note's title");
    assert_eq!(asks(there, world.remove(&den, &bob).boxed()).await.1, "invalid", "the grant there");
    world.grant(&den, &bob, Role::Editor).await;
    assert_eq!(asks(there, world.remove(&lab, &bob).boxed()).await.1, "block-missing", "the grant here");
    world.pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_names_the_container_the_granter_s_own_and_the_account_of_who_gets_it() {
    let world = World::new().await;
    let (lab, bob) = (world.lab(), world.bob());
    let carol = world.pair.person("carol").await;
    world.grant(&lab, &bob, Role::Owner).await;
    let of_note = member(&world.note(), &user(&carol));
    let asks = async |role, happens: BoxFuture<'_, ()>| {
        world.asks::<Member>(&world.bob, &of_note, MemberCommand::Grant { role }, happens).await
    };
    assert_eq!(asks(Role::Viewer, world.rename(&world.lab).boxed()).await, (1, ""), "the parent's name");
    world.named(&[&world.note(), &lab]);
    assert_eq!(
        asks(Role::Editor, world.retitle(&world.note).boxed()).await,
        (1, ""),
        "the container's title"
    );
    assert_eq!(asks(Role::Viewer, world.edits(&carol).boxed()).await, (2, ""), "the account");
    let less = world.grant(&lab, &bob, Role::Editor);
    assert_eq!(asks(Role::Editor, less.boxed()).await.1, "owner-needed", "the granter's own");
    world.pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_who_goes_names_another_who_stays_and_their_account() {
    let world = World::new().await;
    let (lab, ada, bob) = (world.lab(), user(&world.ada), world.bob());
    world.grant(&lab, &bob, Role::Owner).await;
    let id = member(&lab, &ada);
    let steps_down = MemberCommand::Grant { role: Role::Editor };
    let asked = world.asks::<Member>(&world.ada, &id, steps_down, world.edits(&world.bob)).await;
    assert_eq!(asked, (2, ""), "the account of the one who stays");
    // On the instance that is asked, so that it does not decide on stale memory first.
    world.pair.set_role(0, &world.bob, (&lab, &ada), Some(Role::Owner)).await.expect("an owner may");
    let other_goes = async {
        world.pair.set_role(1, &world.bob, (&lab, &bob), None).await.expect("Ada is one still");
    };
    let asked = world.asks::<Member>(&world.ada, &id, MemberCommand::Remove, other_goes).await;
    assert_eq!(asked.1, "last-owner", "the grant of the one who stays");
    world.pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_and_a_policy_name_the_account() {
    let world = World::new().await;
    let on_behalf_of = world.bob.user.parse().ok();
    let meta = CommandMeta { on_behalf_of, ..CommandMeta::new("policy:a_test", "named", "a_test") };
    let asked = Interrupted::<Block>::new(&world.block, edit(), world.edits(&world.bob));
    world.pair.app(0).carry_out(&meta, &asked, &()).await.expect("Bob may edit");
    assert_eq!(asked.attempts.load(Ordering::Relaxed), 2, "a policy");
    drop(asked);
    let open = SessionCommand::Open {
        user_id: world.bob.user.parse().expect("an id"),
        device: None,
        address: None,
        refresh: random::<32>().to_vec(),
        lifetime: TimeDelta::days(1),
    };
    let meta = CommandMeta::new(&world.bob.user, "named", "POST /here");
    let asked = Interrupted::<Session>::new(&new_id(), open, world.edits(&world.bob));
    world.pair.app(0).carry_out(&meta, &asked, &()).await.expect("Bob may log in");
    assert_eq!(asked.attempts.load(Ordering::Relaxed), 2, "a login");
    drop(asked);
    world.pair.stop().await;
}

/// Asks for an action on a container, or on what is a person's own.
struct Asked(Action, Container, Option<UserId>);

impl Decision for Asked {
    async fn decide(&self, work: &mut UnitOfWork<'_>) -> Result<Answer, Problem> {
        let unseen = || Problem::invalid("", "It is not seen.");
        match self.2 {
            Some(person) => work.require_own(self.0, person, unseen)?,
            None => _ = work.require(self.0, self.1, unseen).await?,
        }
        Ok(Answer { id: new_id(), version: 1 })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_that_is_about_something_else_is_never_granted() {
    let world = World::new().await;
    let app = world.pair.app(0);
    let caller = app.verifier.verify(&world.ada.access).expect("a good token");
    let meta =
        CommandMeta { caller: Some(caller), ..CommandMeta::new(&world.ada.user, "named", "POST /here") };
    let [lab, note, never] = [world.lab(), world.note(), format!("note:{}", new_id())]
        .map(|scope| scope.parse::<Container>().expect("a container"));
    let (ada, bob) = (caller.user, world.bob.user.parse().expect("an id"));
    let slug = async |asked| {
        app.carry_out(&meta, &asked, &()).await.map_or_else(|problem| problem.kind.slug(), |_| "")
    };
    assert_eq!(slug(Asked(Action::NotesRead, note, None)).await, "");
    assert_eq!(slug(Asked(Action::NotesRead, never, None)).await, "invalid");
    assert_eq!(slug(Asked(Action::TasksRead, note, Some(ada))).await, "");
    assert_eq!(slug(Asked(Action::TasksRead, note, Some(bob))).await, "invalid");
    // About another kind, about nothing in particular, about persons alone.
    for (action, container) in [
        (Action::NotesRead, lab),
        (Action::NotebooksList, note),
        (Action::NotebooksList, never),
        (Action::LiveOpen, never),
        (Action::TopicPerson, note),
    ] {
        assert_eq!(slug(Asked(action, container, None)).await, "internal", "{action:?}");
    }
    for action in [Action::NotesRead, Action::MeRead, Action::LiveOpen] {
        assert_eq!(slug(Asked(action, note, Some(bob))).await, "internal", "{action:?}");
    }
    world.pair.stop().await;
}
