//! Who may do what, by which grant, and who may grant it.

use command_api::app::CommandMeta;
use command_api::blocks::Block;
use command_api::members::{Member, MemberCommand};
use command_api::tasks::Task;
use serde_json::{Value, json};
use shared::domain::access::{Container, Principal, Role};
use shared::domain::members::MemberId;
use shared::process::problem::Problem;

use crate::pair::{Pair, TestRequest, Tokens, id, new_id};

impl Pair {
    /// Somebody grants a role, or takes it away; the version of the grant. Asked of either instance, as there is no route
    /// for it yet.
    pub(crate) async fn set_role(
        &self,
        instance: usize,
        by: &Tokens,
        (on, who): (&str, &str),
        role: Option<Role>,
    ) -> Result<i64, Problem> {
        let app = self.app(instance);
        let caller = app.verifier.verify(&by.access).expect("a good token");
        let meta = CommandMeta { caller: Some(caller), ..CommandMeta::new(&by.user, "members", "PUT /here") };
        let command = role.map_or(MemberCommand::Remove, |role| MemberCommand::Grant { role });
        let accepted = app.execute::<Member>(&meta, &member(on, who), vec![command], &()).await?;
        Ok(accepted.version)
    }

    /// The same, for what must be possible.
    pub(crate) async fn grant(&self, by: &Tokens, on: &str, who: &str, role: Role) {
        self.set_role(0, by, (on, who), Some(role)).await.expect("owners grant");
    }
}

/// The id of the grant of a scope `who` on a scope `on`.
pub(crate) fn member(on: &str, who: &str) -> String {
    let container: Container = on.parse().expect("a container");
    let principal: Principal = who.parse().expect("a principal");
    MemberId { container, principal }.to_string()
}

pub(crate) fn user(tokens: &Tokens) -> String {
    format!("user:{}", tokens.user)
}

fn slug(refused: Result<i64, Problem>) -> (u16, &'static str) {
    let problem = refused.expect_err("it is refused");
    (problem.status, problem.kind.slug())
}

/// Ada's notebook, a note in it, and somebody else.
struct Lab {
    pair: Pair,
    ada: Tokens,
    bob: Tokens,
    notebook: String,
    note: String,
}

impl Lab {
    async fn new() -> Self {
        let pair = Pair::start().await;
        let (ada, bob) = (pair.person("ada").await, pair.person("bob").await);
        let notebook = pair.notebook(&ada, "Lab").await;
        let note = pair.note(&ada, &notebook).await;
        Self { pair, ada, bob, notebook, note }
    }

    fn notebook(&self) -> String {
        format!("notebook:{}", self.notebook)
    }

    fn note(&self) -> String {
        format!("note:{}", self.note)
    }

    async fn ask(&self, instance: usize, by: &Tokens, request: TestRequest) -> (u16, String) {
        let answer = self.pair.send(instance, request.by(by)).await;
        let (status, slug) = answer.refusal();
        (status, slug.to_owned())
    }

    fn retitle(&self) -> TestRequest {
        TestRequest::patch(&format!("/notes/{}", self.note), &json!({"title": new_id()}))
    }

    fn move_to(&self, notebook: &str) -> TestRequest {
        TestRequest::patch(&format!("/notes/{}", self.note), &json!({"notebook_id": notebook}))
    }

    fn rename(&self) -> TestRequest {
        TestRequest::patch(&format!("/notebooks/{}", self.notebook), &json!({"name": new_id()}))
    }

    fn begin_note(&self) -> TestRequest {
        TestRequest::post("/notes", &json!({"notebook_id": self.notebook, "title": "Dreams"}))
    }

    /// What Bob is answered: when he edits the note, begins another, renames the notebook.
    async fn bob_may(&self) -> [(u16, String); 3] {
        let asked = async |instance| {
            [
                self.ask(instance, &self.bob, self.retitle()).await,
                self.ask(instance, &self.bob, self.begin_note()).await,
                self.ask(instance, &self.bob, self.rename()).await,
            ]
        };
        let answers = asked(1).await;
        assert_eq!(asked(0).await, answers, "both instances say the same");
        answers
    }
}

fn told(answers: [(u16, &str); 3]) -> [(u16, String); 3] {
    answers.map(|(status, slug)| (status, slug.to_owned()))
}

/// On which container, to whom, which role (none: taken away), and what Bob is answered to three requests then.
type Step<'a> = (&'a str, &'a str, Option<Role>, &'a [(u16, String); 3]);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_may_what_it_says_by_whichever_grant() {
    let lab = Lab::new().await;
    let (notebook, note, bob) = (lab.notebook(), lab.note(), user(&lab.bob));
    let unseen = told([(404, "note-missing"), (422, "invalid"), (404, "notebook-missing")]);
    let viewer = told([(403, "editor-needed"), (403, "editor-needed"), (403, "owner-needed")]);
    let editor = told([(200, ""), (201, ""), (403, "owner-needed")]);
    let owner = told([(200, ""), (201, ""), (200, "")]);
    // On the note alone: nothing flows up.
    let of_note = told([(200, ""), (422, "invalid"), (404, "notebook-missing")]);
    let seen_note = told([(403, "editor-needed"), (422, "invalid"), (404, "notebook-missing")]);
    let both = told([(200, ""), (403, "editor-needed"), (403, "owner-needed")]);
    assert_eq!(lab.bob_may().await, unseen);
    let steps: [Step<'_>; 12] = [
        (&notebook, &bob, Some(Role::Viewer), &viewer),
        (&notebook, &bob, Some(Role::Editor), &editor),
        (&notebook, &bob, Some(Role::Owner), &owner),
        (&notebook, &bob, None, &unseen),
        (&note, &bob, Some(Role::Viewer), &seen_note),
        (&note, &bob, Some(Role::Editor), &of_note),
        (&notebook, "everyone", Some(Role::Viewer), &both),
        (&note, &bob, None, &viewer),
        (&notebook, "everyone", Some(Role::Editor), &editor),
        (&notebook, &bob, Some(Role::Viewer), &editor),
        (&notebook, "everyone", None, &viewer),
        (&notebook, &bob, None, &unseen),
    ];
    for (step, (on, who, role, may)) in steps.into_iter().enumerate() {
        lab.pair.set_role(step % 2, &lab.ada, (on, who), role).await.expect("an owner may");
        assert_eq!(&lab.bob_may().await, may, "{role:?} of {who} on {on}");
    }
    lab.pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_owners_grant_and_only_what_a_kind_knows() {
    let lab = Lab::new().await;
    let (notebook, note) = (lab.notebook(), lab.note());
    let carol = lab.pair.person("carol").await;
    let [ada, bob, her] = [&lab.ada, &lab.bob, &carol].map(user);
    let grant = async |by, on, who, role: Role| slug(lab.pair.set_role(1, by, (on, who), Some(role)).await);
    let missing_person = format!("user:{}", new_id());
    let missing_note = format!("note:{}", new_id());
    for (on, who, role) in [
        (&notebook, "public", Role::Viewer),
        (&notebook, "everyone", Role::Owner),
        (&note, "everyone", Role::Viewer),
        (&note, "public", Role::Viewer),
        // Whoever owned a note could take from the owners of its notebook what is theirs.
        (&note, &*bob, Role::Owner),
    ] {
        assert_eq!(grant(&lab.ada, on, who, role).await, (409, "not-for-this-kind"), "{role:?} {who} {on}");
    }
    assert_eq!(grant(&lab.ada, &notebook, &missing_person, Role::Viewer).await, (404, "user-missing"));
    assert_eq!(grant(&lab.ada, &missing_note, &bob, Role::Viewer).await, (404, "note-missing"));
    assert_eq!(grant(&lab.bob, &notebook, &bob, Role::Owner).await, (404, "notebook-missing"));
    for role in [Role::Viewer, Role::Editor] {
        lab.pair.grant(&lab.ada, &notebook, &bob, role).await;
        lab.pair.grant(&lab.ada, &note, &bob, role).await;
        for (on, who) in [(&notebook, &bob), (&notebook, &her), (&note, &her)] {
            assert_eq!(grant(&lab.bob, on, who, role.max(Role::Editor)).await, (403, "owner-needed"));
        }
        let removes = lab.pair.set_role(1, &lab.bob, (&notebook, &ada), None).await;
        assert_eq!(slug(removes), (403, "owner-needed"));
    }
    let never = lab.pair.set_role(0, &lab.ada, (&notebook, &her), None).await;
    assert_eq!(slug(never), (404, "member-missing"));
    lab.pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_twice_records_nothing_more() {
    let lab = Lab::new().await;
    let (notebook, bob) = (lab.notebook(), user(&lab.bob));
    let both = async |role| {
        let mut versions = Vec::new();
        for instance in [0, 1, 0] {
            let version = lab.pair.set_role(instance, &lab.ada, (&notebook, &bob), role).await;
            versions.push(version.expect("an owner may"));
        }
        versions
    };
    let events = lab.pair.events().await;
    assert_eq!(both(Some(Role::Viewer)).await, [1, 1, 1]);
    assert_eq!(both(Some(Role::Editor)).await, [2, 2, 2]);
    assert_eq!(both(None).await, [3, 3, 3]);
    assert_eq!(lab.pair.events().await, events + 3);
    lab.pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_edit_may_not_ask_for_no_change_either() {
    let lab = Lab::new().await;
    let block = json!({"note_id": lab.note, "type": "text", "content": {"text": "One"}});
    let block = id(&lab.pair.send(0, TestRequest::post("/blocks", &block).by(&lab.ada)).await.body);
    let task = json!({"note_id": lab.note, "title": "Call"});
    let task = id(&lab.pair.send(0, TestRequest::post("/tasks", &task).by(&lab.ada)).await.body);
    let asks = async |by: &Tokens| {
        let app = lab.pair.app(1);
        let caller = app.verifier.verify(&by.access).expect("a good token");
        let meta = CommandMeta { caller: Some(caller), ..CommandMeta::new(&by.user, "members", "PUT /here") };
        let of_block = app.execute::<Block>(&meta, &block, vec![], &()).await;
        let of_task = app.execute::<Task>(&meta, &task, vec![], &()).await;
        [of_block, of_task].map(|answer| answer.map(|accepted| accepted.version))
    };
    assert_eq!(asks(&lab.ada).await.map(Result::ok), [Some(1), Some(1)]);
    assert_eq!(asks(&lab.bob).await.map(slug), [(404, "block-missing"), (404, "task-missing")]);
    lab.pair.grant(&lab.ada, &lab.note(), &user(&lab.bob), Role::Viewer).await;
    assert_eq!(asks(&lab.bob).await.map(slug), [(403, "editor-needed"); 2]);
    lab.pair.stop().await;
}

/// What is recorded of a notebook from its beginning, with whether it is in clear.
async fn recorded(pair: &Pair, notebook: &str) -> Vec<(String, Value, bool)> {
    let scope = format!("notebook:{notebook}");
    sqlx::query_as(
        "select event_type, to_jsonb(scopes), get_byte(payload, 0) <> 1 from es.event where $1 = any(scopes) order by position",
    )
    .bind(scope)
    .fetch_all(&pair.owner)
    .await
    .expect("events")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notebook_begins_with_the_grant_of_its_owner() {
    let lab = Lab::new().await;
    let (notebook, ada) = (lab.notebook(), user(&lab.ada));
    let body = json!({"name": "Den", "description": "What is hers"});
    let made = lab.pair.send(0, TestRequest::post("/notebooks", &body).by(&lab.ada)).await;
    let id = made.body["id"].as_str().expect("an id");
    let itself = format!("notebook:{id}");
    let expected = [
        ("MemberAdded".to_owned(), json!([itself, ada]), true),
        ("NotebookCreated".to_owned(), json!([itself]), false),
        ("NotebookDescribed".to_owned(), json!([itself]), false),
    ];
    assert_eq!(recorded(&lab.pair, id).await, expected);
    assert_eq!((made.number("version"), made.number("position")), (2, lab.pair.events().await));
    // An id that is in use makes nobody an owner.
    let taken = json!({"id": lab.notebook, "name": "His"});
    for instance in [0, 1, 0] {
        let answer = lab.ask(instance, &lab.bob, TestRequest::post("/notebooks", &taken)).await;
        assert_eq!(answer, (409, "id-taken".to_owned()));
        let answer = lab.ask(instance, &lab.ada, TestRequest::post("/notebooks", &taken)).await;
        assert_eq!(answer, (409, "notebook-exists".to_owned()));
    }
    assert_eq!(lab.ask(1, &lab.bob, lab.rename()).await.0, 404);
    lab.pair.grant(&lab.ada, &notebook, &user(&lab.bob), Role::Viewer).await;
    let answer = lab.ask(0, &lab.bob, TestRequest::post("/notebooks", &taken)).await;
    assert_eq!(answer, (409, "notebook-exists".to_owned()));
    lab.pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_owners_take_a_note_out_and_its_own_members_stay_behind() {
    let lab = Lab::new().await;
    let (notebook, note, bob) = (lab.notebook(), lab.note(), user(&lab.bob));
    let carol = lab.pair.person("carol").await;
    let (his, hers) = (lab.pair.notebook(&lab.bob, "His").await, lab.pair.notebook(&carol, "Hers").await);
    let forbidden = |slug: &str| (403, slug.to_owned());
    // An editor who could would own it afterwards.
    lab.pair.grant(&lab.ada, &notebook, &bob, Role::Editor).await;
    for instance in [0, 1, 0] {
        assert_eq!(lab.ask(instance, &lab.bob, lab.move_to(&his)).await, forbidden("owner-needed"));
    }
    assert_eq!(lab.ask(1, &lab.bob, lab.move_to(&lab.notebook)).await.0, 200, "it stays");
    lab.pair.grant(&lab.ada, &notebook, &bob, Role::Owner).await;
    assert_eq!(lab.ask(0, &lab.bob, lab.move_to(&hers)).await, (422, "invalid".to_owned()));
    lab.pair.grant(&carol, &format!("notebook:{hers}"), &bob, Role::Viewer).await;
    assert_eq!(lab.ask(1, &lab.bob, lab.move_to(&hers)).await, forbidden("editor-needed"));
    lab.pair.grant(&carol, &format!("notebook:{hers}"), &bob, Role::Editor).await;
    // Who was let in where it was, does not get into where it goes.
    let dan = lab.pair.person("dan").await;
    lab.pair.grant(&lab.ada, &note, &user(&dan), Role::Editor).await;
    for instance in [0, 1] {
        assert_eq!(lab.ask(instance, &dan, lab.retitle()).await.0, 200);
    }
    assert_eq!(lab.ask(0, &lab.bob, lab.move_to(&hers)).await.0, 200);
    for instance in [1, 0] {
        assert_eq!(lab.ask(instance, &dan, lab.retitle()).await.0, 404);
        assert_eq!(lab.ask(instance, &lab.ada, lab.retitle()).await.0, 404);
        assert_eq!(lab.ask(instance, &carol, lab.retitle()).await.0, 200);
    }
    // Granted again, by whoever owns it now, it is another grant.
    let events = lab.pair.events().await;
    lab.pair.grant(&carol, &note, &user(&dan), Role::Editor).await;
    assert_eq!(lab.pair.events().await, events + 1);
    assert_eq!(lab.ask(1, &dan, lab.retitle()).await.0, 200);
    lab.pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_assigned_to_whoever_sees_it() {
    let lab = Lab::new().await;
    let task = json!({"note_id": lab.note, "title": "Call", "assignee_id": lab.bob.user});
    let assign = || TestRequest::post("/tasks", &task);
    assert_eq!(lab.ask(0, &lab.ada, assign()).await, (422, "invalid".to_owned()));
    lab.pair.grant(&lab.ada, &lab.note(), &user(&lab.bob), Role::Viewer).await;
    assert_eq!(lab.ask(1, &lab.ada, assign()).await.0, 201);
    lab.pair.set_role(1, &lab.bob, (&lab.note(), &user(&lab.bob)), None).await.expect("everybody may leave");
    assert_eq!(lab.ask(0, &lab.ada, assign()).await, (422, "invalid".to_owned()));
    lab.pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notebook_never_loses_its_last_owner() {
    let lab = Lab::new().await;
    let (notebook, ada, bob) = (lab.notebook(), user(&lab.ada), user(&lab.bob));
    lab.pair.grant(&lab.ada, &notebook, &bob, Role::Editor).await;
    lab.pair.grant(&lab.ada, &notebook, "everyone", Role::Editor).await;
    for (instance, role) in [(0, None), (1, Some(Role::Editor)), (0, Some(Role::Viewer))] {
        let steps_down = lab.pair.set_role(instance, &lab.ada, (&notebook, &ada), role).await;
        assert_eq!(slug(steps_down), (409, "last-owner"), "{role:?}");
    }
    lab.pair.grant(&lab.ada, &notebook, &bob, Role::Owner).await;
    lab.pair.set_role(1, &lab.ada, (&notebook, &ada), None).await.expect("Bob stays");
    assert_eq!(lab.ask(0, &lab.ada, lab.rename()).await.0, 403, "she is one of everyone");
    assert_eq!(slug(lab.pair.set_role(0, &lab.bob, (&notebook, &bob), None).await), (409, "last-owner"));
    lab.pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_owners_who_leave_at_once_one_stays() {
    let lab = Lab::new().await;
    let (ada, bob) = (user(&lab.ada), user(&lab.bob));
    for round in 0..20 {
        let notebook = format!("notebook:{}", lab.pair.notebook(&lab.ada, "Den").await);
        lab.pair.grant(&lab.ada, &notebook, &bob, Role::Owner).await;
        let (one, other) = (round % 2, (round + 1) % 2);
        let (ada_left, bob_left) = tokio::join!(
            lab.pair.set_role(one, &lab.ada, (&notebook, &ada), None),
            lab.pair.set_role(other, &lab.bob, (&notebook, &bob), None),
        );
        assert_eq!([&ada_left, &bob_left].map(Result::is_ok).iter().filter(|left| **left).count(), 1);
        for refused in [ada_left, bob_left].into_iter().filter(Result::is_err) {
            assert_eq!(slug(refused), (409, "last-owner"));
        }
    }
    lab.pair.stop().await;
}
