//! The tables, kept by one who takes one command after the other.

use std::collections::{HashMap, HashSet};

use command_api::log::{Append, Outcome, SideRow};

/// The tables, as one who takes commands one by one would keep them.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) sequences: HashMap<String, i64>,
    pub(crate) claims: HashMap<(String, Vec<u8>), String>,
    pub(crate) places: HashMap<String, (String, String)>,
    /// Those that have or had a key.
    pub(crate) key_owners: HashSet<String>,
    pub(crate) destroyed: HashSet<String>,
    pub(crate) credentials: HashMap<String, String>,
    /// Sessions, and whether they have ended.
    pub(crate) sessions: HashMap<String, bool>,
    pub(crate) keys: HashMap<String, (Vec<u8>, i64)>,
}

impl Model {
    /// The refusal of a command; none if it stands.
    pub(crate) fn refusal(&self, append: &Append) -> Option<Outcome> {
        if let Some((fingerprint, position)) = self.keys.get(&append.key.key) {
            let (id, version) = (append.answer_id.clone(), append.answer_version);
            return Some(Outcome::Seen {
                fingerprint: fingerprint.clone(),
                id,
                version,
                position: *position,
            });
        }
        let conflict = self.moved(append).or_else(|| self.has_key(append));
        conflict.or_else(|| self.claimed(append)).or_else(|| self.placed(append))
    }

    fn moved(&self, append: &Append) -> Option<Outcome> {
        let mut first = HashSet::new();
        let written = append.events.iter().filter(|e| first.insert(&e.aggregate_id));
        let written = written.map(|e| (&e.aggregate_id, e.sequence - 1));
        let read = append.expects.iter().map(|e| (&e.aggregate_id, e.sequence));
        let actual = |id: &String| self.sequences.get(id).copied().unwrap_or(0);
        let (id, _) = written.chain(read).find(|(id, expected)| actual(id) != *expected)?;
        Some(Outcome::Conflict { aggregate_type: "note".into(), id: id.clone(), sequence: actual(id) })
    }

    fn has_key(&self, append: &Append) -> Option<Outcome> {
        append.side.iter().find_map(|row| {
            let SideRow::KeyMade { key_owner, .. } = row else { return None };
            let conflict =
                || Outcome::Conflict { aggregate_type: "key".into(), id: key_owner.clone(), sequence: 0 };
            self.key_owners.contains(key_owner).then(conflict)
        })
    }

    fn claimed(&self, append: &Append) -> Option<Outcome> {
        let clash = append.claims.iter().find(|claim| {
            let owner = self.claims.get(&(claim.kind.to_owned(), claim.value.clone()));
            let given_up = |owner: &String| {
                append
                    .released
                    .iter()
                    .any(|r| (r.kind, &r.value, &r.owner) == (claim.kind, &claim.value, owner))
            };
            owner.is_some_and(|owner| *owner != claim.owner && !given_up(owner))
        })?;
        Some(Outcome::Claimed { kind: clash.kind.into() })
    }

    fn placed(&self, append: &Append) -> Option<Outcome> {
        let clash = append.places.iter().find(|place| {
            self.places.iter().any(|(item, (container, rank))| {
                let same_rank = (container, rank) == (&place.container, &place.rank);
                let guarded = place.guards.as_ref().is_some_and(|gap| {
                    gap.after.as_ref().is_none_or(|after| rank > after)
                        && gap.before.as_ref().is_none_or(|before| rank < before)
                });
                let in_gap = *container == place.container && guarded;
                let leaves =
                    append.freed.iter().any(|f| (&f.item, &f.container, &f.rank) == (item, container, rank));
                let itself = *item == place.item;
                (same_rank != itself || in_gap && !itself) && !leaves
            }) || place.beside.as_ref().is_some_and(|beside| {
                self.places.get(&beside.item) != Some(&(place.container.clone(), beside.rank.clone()))
            })
        })?;
        Some(Outcome::Placed { container: clash.container.clone(), rank: clash.rank.clone() })
    }

    pub(crate) fn apply(&mut self, append: &Append, position: i64) {
        self.sequences.extend(append.events.iter().map(|e| (e.aggregate_id.clone(), e.sequence)));
        for r in &append.released {
            self.claims.retain(|(kind, value), owner| {
                (kind.as_str(), value, &*owner) != (r.kind, &r.value, &r.owner)
            });
        }
        self.claims
            .extend(append.claims.iter().map(|c| ((c.kind.to_owned(), c.value.clone()), c.owner.clone())));
        for freed in &append.freed {
            self.places.retain(|item, (container, rank)| {
                (item, &*container, &*rank) != (&freed.item, &freed.container, &freed.rank)
            });
        }
        let places = append.places.iter().map(|p| (p.item.clone(), (p.container.clone(), p.rank.clone())));
        self.places.extend(places);
        append.side.iter().for_each(|row| self.apply_side(row));
        // Nobody sends a key of ours again; the writer does, and then looks for the event.
        if !append.key.ours || append.events.is_empty() {
            self.keys.insert(append.key.key.clone(), (append.key.fingerprint.to_vec(), position));
        }
    }

    fn apply_side(&mut self, row: &SideRow) {
        match row {
            SideRow::KeyMade { key_owner, .. } => drop(self.key_owners.insert(key_owner.clone())),
            SideRow::KeyDestroyed { key_owner } => {
                self.key_owners.insert(key_owner.clone());
                self.destroyed.insert(key_owner.clone());
            }
            SideRow::Module(row) => {
                let of = row.writes.1.clone();
                match row.operation {
                    "credential" => {
                        let hash = row.columns["hash"].as_str().expect("a credential has a hash");
                        self.credentials.insert(of, hash.to_owned());
                    }
                    "session" => drop(self.sessions.insert(of, false)),
                    "session_end" => drop(self.sessions.entry(of).and_modify(|ended| *ended = true)),
                    other => panic!("no wish makes a {other}"),
                }
            }
        }
    }
}
