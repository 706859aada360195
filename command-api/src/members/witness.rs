//! When an owner goes, another one must stay. One of them is named in the append, with their account, so that two owners
//! cannot both go at once, each relying on the other.

use shared::domain::access::{Principal, Role};
use shared::domain::members::MemberId;
use shared::process::problem::Problem;

use super::{Member, MemberError};
use crate::app::{UnitOfWork, problem};
use crate::users::User;

/// Names another owner of the same root than the one who goes, or refuses.
pub(super) async fn name(work: &mut UnitOfWork<'_>, leaving: MemberId) -> Result<(), Problem> {
    let of_container = format!("{}/", leaving.container);
    for (id, member) in work.look_up_under::<Member>(&of_container).await? {
        let Ok(MemberId { principal: Principal::User(user), .. }) = id.parse() else { continue };
        // No root ever loses all its grants but by ending.
        if member.state.role(0) != Some(Role::Owner) || Principal::User(user) == leaving.principal {
            continue;
        }
        let account = work.look_up::<User>(&user.to_string()).await?;
        if account.state.is_active() {
            work.expect::<Member>(&id, member.sequence);
            work.expect::<User>(&user.to_string(), account.sequence);
            return Ok(());
        }
    }
    Err(problem(&MemberError::LastOwner))
}
