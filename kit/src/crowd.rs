//! Read tables of a large workspace, filled without a log: what reads cost in it is measured, and their plans are tested.

use uuid::Uuid;

/// What an id is of.
#[derive(Clone, Copy, Debug)]
pub enum Of {
    /// Number 1 is the busy one, number 2 the new one.
    Person = 1,
    /// Number 0 is everyone's.
    Notebook = 2,
    /// The first tenth is in everyone's notebook.
    Note = 3,
    /// One for every second note, and one without a note for each person.
    Task = 4,
}

/// The id of the thing of that number.
pub fn numbered(of: Of, number: u32) -> Uuid {
    Uuid::from_u128((of as u128) << 64 | u128::from(number))
}

/// How much a workspace of so many notes holds.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// All notes.
    pub notes: u32,
}

impl Crowd {
    /// How many persons there are, each with a notebook of its own.
    pub fn persons(self) -> u32 {
        self.notes / 100
    }

    /// How many notebooks the busy person is a member of, besides its own.
    pub fn busy(self) -> u32 {
        self.notes / 200
    }

    /// How many notes are in the notebook that everyone may read.
    pub fn everyones(self) -> u32 {
        self.notes / 10
    }

    /// What fills the empty read tables; the busy person also has a role on each thousandth note by itself.
    ///
    /// Things of one notebook are far apart in the tables, as they come to be over years.
    pub fn sql(self) -> String {
        let Self { notes, .. } = self;
        let (persons, busy, everyones) = (self.persons(), self.busy(), self.everyones());
        let id = |of: Of, number: &str| {
            format!("('00000000-0000-000{}-0000-' || lpad(to_hex({number}), 12, '0'))::uuid", of as u128)
        };
        let at = |number: &str| {
            format!("timestamptz '2026-01-01Z' + interval '1 second' * (({number})::bigint * 7919 % {notes})")
        };
        let (person, notebook, note) = (id(Of::Person, "n"), id(Of::Notebook, "n"), id(Of::Note, "n"));
        let home = format!(
            "case when n <= {everyones} then 0 else 1 + (n * 7919::bigint % {})::integer end",
            busy + persons
        );
        let home = id(Of::Notebook, &home);
        let made = |at: &str| format!("'test', {at}, 'test', {at}, 1");
        let (made, made_at) = (made(&at("n")), at("n"));
        let (own, task, of_person) = (
            id(Of::Notebook, &format!("{busy} + n")),
            id(Of::Task, "n"),
            id(Of::Task, &format!("{notes} + n")),
        );
        let busy_one = numbered(Of::Person, 1);
        let open = numbered(Of::Notebook, 0);
        format!(
            "insert into users select {person}, n || '@example.org', 'p' || n, 'p' || n, 'P', null, null, null, '{{}}', {made_at}, {made_at}, 1
               from generate_series(1, {persons}) n;
             insert into notebooks select {notebook}, 'n' || n, '', {made} from generate_series(0, {busy} + {persons}) n;
             insert into members select 'notebook', {notebook}, '{busy_one}', 2, n, null, 'test', {made_at}
               from generate_series(1, {busy}) n;
             insert into members select 'notebook', {own}, {person}, 3, n, null, 'test', {made_at}
               from generate_series(1, {persons}) n;
             insert into members values ('notebook', '{open}', '00000000-0000-0000-0000-000000000000', 1, 1, null, 'test', now());
             insert into notes select {note}, {home}, 'note ' || n, {made} from generate_series(1, {notes}) n;
             insert into members select 'note', {note}, '{busy_one}', 1, n, null, 'test', {made_at}
               from generate_series(1000, {notes}, 1000) n;
             insert into tasks select {task}, {note}, {home}, '{busy_one}', 'task ' || n, null, 'task ' || n, null, null, null, null, 0, null, false, {made}
               from generate_series(2, {notes}, 2) n;
             insert into tasks select {of_person}, null, null, {person}, 'own ' || n, null, 'own ' || n, null, null, null, null, 0, null, false, {made}
               from generate_series(1, {persons}) n"
        )
    }
}
