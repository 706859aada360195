//! What instance A changes, B is asked about at once, with an older state in its memory.

use chrono::TimeDelta;
use command_api::app::CommandMeta;
use command_api::notes::{Note, NoteCommand};
use command_api::sessions::{Session, SessionCommand};
use serde_json::json;
use shared::domain::clock::{Clock, random};
use shared::domain::id::SessionId;
use shared::process::auth::{Caller, Issuer};

use crate::pair::{Pair, TestRequest, Tokens};

const A: usize = 0;
const B: usize = 1;
/// Every so many checks, a session is ended besides.
const SESSION_EVERY: usize = 50;

struct Round<'a> {
    pair: &'a Pair,
    person: &'a Tokens,
    caller: Caller,
    notebooks: [String; 2],
    note: String,
    /// In which of the notebooks the note stands.
    stands: usize,
    note_version: i64,
    notebook_version: i64,
}

/// So many checks on a new note and two new notebooks.
pub(crate) async fn play(pair: &Pair, person: &Tokens, checks: usize) {
    let notebooks = [pair.notebook(person, "X").await, pair.notebook(person, "Y").await];
    let note = pair.note(person, &notebooks[0]).await;
    let caller = pair.app(B).verifier.verify(&person.access).expect("a good token");
    let mut round =
        Round { pair, person, caller, notebooks, note, stands: 0, note_version: 1, notebook_version: 1 };
    // B has all of it in memory from here on.
    round.is_moved(B, 0, 1).await;
    for check in 0..checks {
        match check % 10 {
            9 => round.a_version_just_passed_is_refused(check).await,
            0 | 2 | 4 | 6 | 8 => round.moving_to_where_it_has_just_come_is_nothing().await,
            _ => round.moving_back_starts_where_it_has_just_come().await,
        }
        if check % SESSION_EVERY == 0 {
            round.a_session_just_ended_is_refused().await;
        }
    }
}

impl Round<'_> {
    async fn moving_to_where_it_has_just_come_is_nothing(&mut self) {
        let there = 1 - self.stands;
        let position = self.is_moved(A, there, self.note_version + 1).await;
        assert!(self.is_moved(B, there, self.note_version + 1).await >= position, "it is true by then");
        self.stands = there;
        self.note_version += 1;
    }

    async fn moving_back_starts_where_it_has_just_come(&mut self) {
        let (here, there) = (self.stands, 1 - self.stands);
        self.is_moved(A, there, self.note_version + 1).await;
        self.is_moved(B, here, self.note_version + 2).await;
        self.note_version += 2;
    }

    async fn is_moved(&self, instance: usize, to: usize, version: i64) -> i64 {
        // Straight at the command path: the other checks come by HTTP.
        let app = self.pair.app(instance);
        let meta = command_meta(self.person, Some(self.caller));
        let command = NoteCommand::Move { notebook_id: self.notebooks[to].parse().expect("an id") };
        let accepted = app.execute::<Note>(&meta, &self.note, vec![command], &()).await.expect("it may move");
        assert_eq!(accepted.version, version);
        accepted.position
    }

    async fn a_version_just_passed_is_refused(&mut self, check: usize) {
        let seen = self.notebook_version;
        let rename = async |instance: usize, name: &str, version: i64| {
            let body = json!({"name": format!("{name} {check}")});
            let path = format!("/notebooks/{}", self.notebooks[0]);
            self.pair.send(instance, TestRequest::patch(&path, &body).by(self.person).if_match(version)).await
        };
        assert_eq!(rename(A, "by A", seen).await.version(), seen + 1);
        // What B wants may be what A has done already: the version has moved all the same.
        let stale = rename(B, ["by A", "by B"][check / 10 % 2], seen).await;
        stale.is_refused(412, "version-moved");
        assert_eq!(stale.number("version"), seen + 1);
        assert_eq!(rename(B, "by B", seen + 1).await.version(), seen + 2);
        self.notebook_version = seen + 2;
    }

    async fn a_session_just_ended_is_refused(&self) {
        let tokens = self.open().await;
        let nothing_new = || {
            let body = json!({"notebook_id": self.notebooks[self.stands]});
            TestRequest::patch(&format!("/notes/{}", self.note), &body).by(&tokens)
        };
        assert_eq!(self.pair.send(B, nothing_new()).await.version(), self.note_version);
        assert_eq!(self.pair.send(A, TestRequest::command("/auth/logout").by(&tokens)).await.version(), 2);
        self.pair.send(B, nothing_new()).await.is_refused(401, "session-ended");
        self.pair.send(A, nothing_new()).await.is_refused(401, "session-ended");
    }

    /// Another session of the same person: opened as a login does, without the time that checking a password takes.
    async fn open(&self) -> Tokens {
        let user = self.person.user.parse().expect("an id");
        let session = SessionId(Clock::System.new_id());
        let open = SessionCommand::Open {
            user_id: user,
            device: None,
            address: None,
            refresh: random::<32>().to_vec(),
            lifetime: TimeDelta::days(1),
        };
        let meta = command_meta(self.person, None);
        let app = self.pair.app(A);
        app.execute::<Session>(&meta, &session.to_string(), vec![open], &()).await.expect("it opens");
        let (access, _) = Issuer::new(&app.keys, app.clock).issue(user, session);
        Tokens { access, ..self.person.clone() }
    }
}

fn command_meta(person: &Tokens, caller: Option<Caller>) -> CommandMeta {
    CommandMeta { caller, ..CommandMeta::new(&person.user, "round", "POST /round") }
}

/// Each move of a note starts in the notebook where the one before has ended, and goes somewhere else.
pub(crate) async fn moves_are_a_chain(pair: &Pair) {
    let (moves, broken): (i64, i64) = sqlx::query_as(
        // A note's scopes are itself, the notebook it stands in, and the one it goes to.
        "select count(*), count(*) filter (where scopes[2] is distinct from before or scopes[3] = before)
           from (select event_type, scopes,
                   lag(scopes[cardinality(scopes)]) over (partition by aggregate_id order by sequence) before
                   from es.event where aggregate_type = 'note') note
          where event_type = 'NoteMoved'",
    )
    .fetch_one(&pair.owner)
    .await
    .expect("counts");
    assert!(moves > 0);
    assert_eq!(broken, 0, "of {moves}");
}
