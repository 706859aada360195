//! The permission table: everything that can be asked for, and who may.

use super::rule::{On, Rule};
use super::{Container, Kind, Role, Scope};

const NOTEBOOK: &[On] = &[On::Container(Kind::Notebook)];
const NOTE: &[On] = &[On::Container(Kind::Note)];
/// Of a task without a note the person whose it is decides.
const NOTE_OR_PERSON: &[On] = &[On::Container(Kind::Note), On::Person];
const PERSON: &[On] = &[On::Person];

/// Everything that can be asked for. A route's operation in the description of the API has the action's name.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::AsRefStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "what a route does is said where it is described; the others are told apart in `way`"
)]
pub enum Action {
    AuthRegister,
    AuthLogin,
    AuthRefresh,
    AuthLogout,
    MeRead,
    MeChange,
    NotebooksList,
    NotebooksRead,
    NotebooksCreate,
    NotebooksChange,
    NotesList,
    NotesRead,
    NotesMarkdown,
    NotesCreate,
    NotesChange,
    NotesMoveOut,
    NotesMoveIn,
    BlocksAdd,
    BlocksChange,
    BlocksMove,
    BlocksMoveIn,
    BlocksRemove,
    BlocksRestore,
    TasksList,
    TasksRead,
    TasksAdd,
    TasksChange,
    TasksComplete,
    TasksReopen,
    TasksRemove,
    TasksRestore,
    LiveOpen,
    LiveTicket,
    TopicAll,
    TopicPerson,
    TopicNotebook,
    TopicNote,
    BlockTaskSync,
}

/// In which way an action is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a route of its own.
    Route,
    /// By the route of another action, if the request also asks for this.
    With(Action),
    /// By subscribing to a topic on a socket.
    Topic,
    /// By a policy, for the person who caused an event.
    Policy,
}

impl Action {
    /// All of them.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Who may do it.
    pub const fn rule(self) -> Rule {
        match self {
            // A socket's person is known by its first frame.
            Self::AuthRegister | Self::AuthLogin | Self::AuthRefresh | Self::LiveOpen => Rule::anyone(),

            // Lists, and the topic of everything, show what the person has access to.
            Self::AuthLogout
            | Self::MeRead
            | Self::MeChange
            | Self::NotebooksList
            | Self::NotesList
            | Self::TasksList
            | Self::LiveTicket
            | Self::TopicAll => Rule::signed_in(),
            Self::NotebooksCreate => Rule::no_guests(),

            Self::NotebooksRead | Self::TopicNotebook => Rule::reads(NOTEBOOK),
            Self::NotebooksChange => Rule::changes(NOTEBOOK, Role::Owner),

            Self::NotesRead | Self::NotesMarkdown | Self::TopicNote => Rule::reads(NOTE),
            Self::NotesCreate | Self::NotesMoveIn => Rule::changes(NOTEBOOK, Role::Editor),
            // Else an editor could take a note away from those who own it.
            Self::NotesMoveOut => Rule::changes(NOTE, Role::Owner),

            Self::NotesChange
            | Self::BlocksAdd
            | Self::BlocksChange
            | Self::BlocksMove
            | Self::BlocksMoveIn
            | Self::BlocksRemove
            | Self::BlocksRestore
            | Self::BlockTaskSync => Rule::changes(NOTE, Role::Editor),

            Self::TasksRead => Rule::reads(NOTE_OR_PERSON),
            Self::TasksAdd
            | Self::TasksChange
            | Self::TasksComplete
            | Self::TasksReopen
            | Self::TasksRemove
            | Self::TasksRestore => Rule::changes(NOTE_OR_PERSON, Role::Editor),

            Self::TopicPerson => Rule::reads(PERSON),
        }
    }

    /// Subscribing to a scope.
    pub const fn topic(scope: Scope) -> Self {
        match scope {
            Scope::Container(Container { kind: Kind::Notebook, .. }) => Self::TopicNotebook,
            Scope::Container(Container { kind: Kind::Note, .. }) => Self::TopicNote,
            Scope::Principal(_) => Self::TopicPerson,
        }
    }

    /// In which way it is asked for.
    pub const fn way(self) -> Way {
        match self {
            Self::AuthRegister
            | Self::AuthLogin
            | Self::AuthRefresh
            | Self::AuthLogout
            | Self::MeRead
            | Self::MeChange
            | Self::NotebooksList
            | Self::NotebooksRead
            | Self::NotebooksCreate
            | Self::NotebooksChange
            | Self::NotesList
            | Self::NotesRead
            | Self::NotesMarkdown
            | Self::NotesCreate
            | Self::NotesChange
            | Self::BlocksAdd
            | Self::BlocksChange
            | Self::BlocksMove
            | Self::BlocksRemove
            | Self::BlocksRestore
            | Self::TasksList
            | Self::TasksRead
            | Self::TasksAdd
            | Self::TasksChange
            | Self::TasksComplete
            | Self::TasksReopen
            | Self::TasksRemove
            | Self::TasksRestore
            | Self::LiveOpen
            | Self::LiveTicket => Way::Route,
            // A note that goes to another notebook leaves one and comes into one.
            Self::NotesMoveOut | Self::NotesMoveIn => Way::With(Self::NotesChange),
            // A block that goes to another note comes into that one.
            Self::BlocksMoveIn => Way::With(Self::BlocksMove),
            Self::TopicAll | Self::TopicPerson | Self::TopicNotebook | Self::TopicNote => Way::Topic,
            Self::BlockTaskSync => Way::Policy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Who;
    use super::*;

    /// Who may do it, and with what, in words.
    fn in_words(rule: &Rule) -> String {
        let on: Vec<&str> = rule
            .on
            .iter()
            .map(|on| match on {
                On::Container(kind) => kind.as_ref(),
                On::Person => "person",
            })
            .collect();
        let who = match rule.who {
            Who::Anyone => "anyone".to_owned(),
            Who::SignedIn => "signed in".to_owned(),
            Who::Role(least) => format!("{least:?} of a {}", on.join(" or ")).to_lowercase(),
        };
        let guests = if rule.guests { "" } else { ", no guests" };
        let trash = if rule.in_trash { ", in the trash too" } else { "" };
        format!("{who}{guests}{trash}")
    }

    /// The table once more, by who may. A line that changes here changes what people may do.
    #[test]
    fn who_may_do_what() {
        let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
        for action in Action::ALL {
            let who = in_words(&action.rule());
            match lines.iter_mut().find(|(line, _)| *line == who) {
                Some((_, actions)) => actions.push(action.as_ref()),
                None => lines.push((who, vec![action.as_ref()])),
            }
        }
        let lines: Vec<String> =
            lines.into_iter().map(|(who, actions)| format!("{who}: {}", actions.join(" "))).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        anyone: auth_register auth_login auth_refresh live_open
        signed in: auth_logout me_read me_change notebooks_list notes_list tasks_list live_ticket topic_all
        viewer of a notebook, in the trash too: notebooks_read topic_notebook
        signed in, no guests: notebooks_create
        owner of a notebook, no guests: notebooks_change
        viewer of a note, in the trash too: notes_read notes_markdown topic_note
        editor of a notebook, no guests: notes_create notes_move_in
        editor of a note, no guests: notes_change blocks_add blocks_change blocks_move blocks_move_in blocks_remove blocks_restore block_task_sync
        owner of a note, no guests: notes_move_out
        viewer of a note or person, in the trash too: tasks_read
        editor of a note or person, no guests: tasks_add tasks_change tasks_complete tasks_reopen tasks_remove tasks_restore
        viewer of a person, in the trash too: topic_person
        ");
    }

    #[test]
    fn what_is_asked_with_another_action_is_asked_by_a_route() {
        for action in Action::ALL {
            if let Way::With(other) = action.way() {
                assert_eq!(other.way(), Way::Route, "{action:?}");
            }
        }
    }
}
