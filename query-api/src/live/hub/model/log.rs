//! Random histories: what happens, and how things were at each position.

use shared::domain::access::{Container, Effect, Kind, Left, Principal, Role, Scope};
use shared::domain::id::UserId;
use shared::log::sight::Subject;
use uuid::Uuid;

use super::Chance;
use super::tree::Tree;
use crate::live::access::{Hidden, Known, News};

const NOTEBOOKS: u64 = 4;
const NOTES: u64 = 10;

/// How much of an event can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Whole,
    /// Its key is gone: it is shown to nobody, and what it does to access counts.
    Unopened,
    /// It is not as it was recorded: it is shown to nobody, and does nothing.
    Altered,
}

#[derive(Clone, Debug)]
pub(super) struct Happened {
    pub(super) news: News,
    pub(super) shape: Shape,
    /// The root that begins with it.
    makes: Option<Container>,
}

/// One history, from position 1 on, and how things were at each position.
pub(super) struct Log {
    pub(super) epoch: String,
    pub(super) people: Vec<UserId>,
    /// Whether rows are quarantined in it.
    quarantines: bool,
    events: Vec<Happened>,
    /// One more than events: the first is of before them.
    trees: Vec<Tree>,
}

pub(super) fn notebook(nth: u64) -> Container {
    Container { kind: Kind::Notebook, id: Uuid::from_u128(0x100 + u128::from(nth)) }
}

pub(super) fn note(nth: u64) -> Container {
    Container { kind: Kind::Note, id: Uuid::from_u128(0x200 + u128::from(nth)) }
}

pub(super) fn person(nth: u64) -> UserId {
    UserId(Uuid::from_u128(0x300 + u128::from(nth)))
}

/// Every container that may ever be.
pub(super) fn containers() -> Vec<Container> {
    (0..NOTEBOOKS).map(notebook).chain((0..NOTES).map(note)).collect()
}

impl Log {
    pub(super) fn new(epoch: &str, people: u64, quarantines: bool) -> Self {
        Self {
            epoch: epoch.to_owned(),
            people: (0..people).map(person).collect(),
            quarantines,
            events: Vec::new(),
            trees: vec![Tree::default()],
        }
    }

    pub(super) fn head(&self) -> i64 {
        i64::try_from(self.events.len()).expect("few")
    }

    pub(super) fn event(&self, position: i64) -> &Happened {
        &self.events[usize::try_from(position - 1).expect("a position")]
    }

    /// How everything was at a position.
    pub(super) fn at(&self, position: i64) -> &Tree {
        &self.trees[usize::try_from(position).expect("a position")]
    }

    /// Whether a person is shown the event at `position`, by how things were at `then`.
    pub(super) fn shows(&self, then: i64, person: UserId, position: i64) -> bool {
        let event = self.event(position);
        event.shape == Shape::Whole && self.at(then).shows(person, &event.news)
    }

    /// The last position at which anybody lost sight of anything, after one and up to another.
    pub(super) fn last_loss(&self, after: i64, up_to: i64) -> i64 {
        let takes = |effect: &Effect| {
            matches!(
                effect,
                Effect::Left(_)
                    | Effect::Revoked { .. }
                    | Effect::Cleared(_)
                    | Effect::Trashed(_)
                    | Effect::Ended(_)
            )
        };
        let is_loss = |position: &i64| {
            let news = &self.event(*position).news;
            !news.hidden.is_empty() || news.subject.effects.iter().any(takes)
        };
        (after + 1..=up_to).rev().find(is_loss).unwrap_or(0)
    }

    /// Whether an event ends grants by what it does to what they are on.
    pub(super) fn tells_of_an_end(&self, position: i64) -> bool {
        let ends = |effect: &Effect| matches!(effect, Effect::Cleared(_) | Effect::Ended(_));
        self.event(position).news.subject.effects.iter().any(ends)
    }

    /// What the tables say at a position of the grants of these.
    pub(super) fn grants(&self, position: i64, principals: &[Principal]) -> Known {
        let mut known = Known::nothing(&self.epoch, position, principals);
        for principal in principals {
            for (on, grant) in self.at(position).held_by(*principal) {
                known.put_grant(on, *principal, grant);
            }
        }
        known
    }

    /// What the tables say at a position of where these are, and of what they are in.
    pub(super) fn places(&self, position: i64, containers: &[Container]) -> Known {
        let (tree, mut known) = (self.at(position), Known::nothing(&self.epoch, position, &[]));
        for container in containers {
            let place = tree.thing(*container);
            known.put_place(*container, place);
            if let Some(parent) = place.and_then(|place| place.parent) {
                known.put_place(parent, tree.thing(parent));
            }
        }
        known
    }

    /// What happened to access after one position and up to another.
    pub(super) fn news(&self, after: i64, up_to: i64) -> Vec<News> {
        let all = (after + 1..=up_to).map(|position| &self.event(position).news);
        all.filter(|news| !news.subject.effects.is_empty() || !news.hidden.is_empty()).cloned().collect()
    }

    /// After a rebuild every row is as if nothing had ever been quarantined.
    pub(super) fn repair(&mut self) {
        self.quarantines = false;
        for nth in 0..self.events.len() {
            self.events[nth].news.hidden.clear();
            self.trees[nth + 1] = next(&self.trees[nth], &self.events[nth]);
        }
    }

    pub(super) fn append(
        &mut self,
        makes: Option<Container>,
        shape: Shape,
        scopes: Vec<Scope>,
        effects: Vec<Effect>,
    ) {
        let subject = Subject { position: self.head() + 1, owner: scopes.first().copied(), scopes, effects };
        self.append_hiding(makes, shape, News { subject, hidden: Vec::new() });
    }

    fn append_hiding(&mut self, makes: Option<Container>, shape: Shape, news: News) {
        let event = Happened { news, shape, makes };
        self.trees.push(next(self.at(self.head()), &event));
        self.events.push(event);
    }

    /// Something happens, whoever may do that.
    pub(super) fn go_on(&mut self, chance: &mut Chance) {
        let now = self.at(self.head());
        let lives = |container: &Container| now.thing(*container).is_some_and(|thing| !thing.ended);
        let (book, other) = (notebook(chance.below(NOTEBOOKS)), notebook(chance.below(NOTEBOOKS)));
        let (page, second) = (note(chance.below(NOTES)), note(chance.below(NOTES)));
        let person = self.people[chance.index(self.people.len())];
        let role = [Role::Viewer, Role::Editor, Role::Owner][chance.index(3)];
        if now.thing(book).is_none() {
            let principal = Principal::User(person);
            let grant = Effect::Granted { container: book, principal, role: Role::Owner };
            self.append(Some(book), Shape::Whole, scopes(&[book]), Vec::new());
            self.append(
                None,
                Shape::Whole,
                [scopes(&[book]), vec![Scope::Principal(principal)]].concat(),
                vec![grant],
            );
            return;
        }
        if now.thing(page).is_none() && lives(&book) {
            self.happen(chance, None, scopes(&[page, book]), vec![Effect::Inside(book)]);
            return;
        }
        let home = |page| now.thing(page).and_then(|thing| thing.parent);
        let (Some(at), Some(second_at)) = (home(page).filter(|_| lives(&page)), home(second)) else {
            self.happen(chance, None, scopes(&[book]), Vec::new());
            return;
        };
        // Everyone's grants are few, else nobody is ever without.
        let principal = match chance.below(12) {
            0 => Principal::Everyone,
            1 => Principal::Public,
            _ => Principal::User(person),
        };
        let on = if chance.below(2) == 0 { book } else { page };
        let of = |container| if container == page { vec![page, at] } else { vec![container] };
        let with = |containers: Vec<Container>, principal| {
            [scopes(&containers), vec![Scope::Principal(principal)]].concat()
        };
        let left = |container, parent| Effect::Left(Left { container, parent });
        let moves = lives(&other) && other != at;
        match chance.below(100) {
            26..30 => self.happen(chance, None, scopes(&[book]), Vec::new()),
            30..46 if lives(&on) => {
                let effect = Effect::Granted { container: on, principal, role };
                self.happen(chance, None, with(of(on), principal), vec![effect]);
            }
            46..56 => {
                let effect = Effect::Revoked { container: on, principal };
                self.happen(chance, None, with(of(on), principal), vec![effect]);
            }
            // What is in the trash is moved by restoring it elsewhere.
            56..70 if moves && now.thing(page).is_some_and(|thing| !thing.trashed) => {
                let mut effects = vec![left(at, None), Effect::Inside(other), Effect::Cleared(page)];
                // The mover may keep the note's own grants.
                effects.truncate(if chance.below(3) == 0 { 2 } else { 3 });
                self.happen(chance, None, scopes(&[page, at, other]), effects);
            }
            70..74 if page != second && lives(&second) => {
                // A block goes from one note to another.
                let effects = vec![left(second, Some(second_at))];
                self.happen(chance, None, scopes(&[page, at, second, second_at]), effects);
            }
            74..80 if lives(&on) => self.happen(chance, None, scopes(&of(on)), vec![Effect::Trashed(on)]),
            80..87 if lives(&on) => {
                if on == page && moves && chance.below(2) == 0 {
                    let effects = vec![
                        Effect::Restored(page),
                        left(at, None),
                        Effect::Inside(other),
                        Effect::Cleared(page),
                    ];
                    self.happen(chance, None, scopes(&[page, at, other]), effects);
                } else {
                    self.happen(chance, None, scopes(&of(on)), vec![Effect::Restored(on)]);
                }
            }
            87..89 if lives(&on) => {
                if on == page || chance.below(4) == 0 {
                    self.happen(chance, None, scopes(&of(on)), vec![Effect::Ended(on)]);
                }
            }
            89..91 => self.happen(chance, None, scopes(&of(on)), vec![Effect::Cleared(on)]),
            91..95 => self.happen(chance, None, vec![Scope::Principal(principal)], Vec::new()),
            _ => self.happen(chance, None, scopes(&[page, at]), Vec::new()),
        }
    }

    /// It happens, and sometimes it cannot be read, or the tables cannot be kept up with it.
    fn happen(
        &mut self,
        chance: &mut Chance,
        makes: Option<Container>,
        scopes: Vec<Scope>,
        effects: Vec<Effect>,
    ) {
        let shape = match chance.below(60) {
            0..2 => Shape::Unopened,
            2 if effects.is_empty() => Shape::Altered,
            _ => Shape::Whole,
        };
        let subject = Subject { position: self.head() + 1, owner: scopes.first().copied(), scopes, effects };
        let mut news = News { subject, hidden: Vec::new() };
        if self.quarantines && shape != Shape::Altered {
            news.hidden = self.hidden(chance, &news.subject);
        }
        self.append_hiding(makes, shape, news);
    }

    /// What cannot be kept up from now on, and what could not before: it stays so.
    fn hidden(&self, chance: &mut Chance, subject: &Subject) -> Vec<Hidden> {
        let (now, mut hidden) = (self.at(self.head()), Vec::new());
        if let Some(Scope::Container(owner)) = subject.owner {
            let before = now.thing(owner).is_some_and(|thing| thing.hidden);
            hidden.extend((before || chance.below(80) == 0).then_some(Hidden::Container(owner)));
        }
        for effect in &subject.effects {
            if let Effect::Granted { container, principal, .. } | Effect::Revoked { container, principal } =
                *effect
            {
                let whose = (chance.below(3) > 0).then_some(principal);
                let new = chance.below(25) == 0;
                hidden.extend(new.then_some(Hidden::Grants(container, whose)));
                if now.is_veiled(container, principal) {
                    hidden.push(Hidden::Grants(container, Some(principal)));
                }
            }
        }
        hidden
    }
}

pub(super) fn scopes(containers: &[Container]) -> Vec<Scope> {
    containers.iter().copied().map(Scope::Container).collect()
}

fn next(before: &Tree, event: &Happened) -> Tree {
    let mut tree = before.clone();
    if let Some(root) = event.makes {
        tree.make(root);
    }
    tree.take(&event.news);
    tree
}
