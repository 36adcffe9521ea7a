//! What a server calls the rooms of a fleet, where it names them and not the harness.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tokio::sync::OnceCell;

/// Names that a server gave to rooms. Members of a room learn them from whoever made it.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: RefCell<HashMap<u64, String>>,
    rooms: RefCell<HashMap<String, u64>>,
    /// Set once a room is made; held by whoever makes it.
    made: RefCell<HashMap<u64, Rc<OnceCell<()>>>>,
}

impl Names {
    /// Notes what the server calls a room.
    pub(crate) fn give(&self, room: u64, name: String) {
        self.rooms.borrow_mut().insert(name.clone(), room);
        self.names.borrow_mut().insert(room, name);
    }

    /// What the server calls a room.
    pub(crate) fn of(&self, room: u64) -> Option<String> {
        self.names.borrow().get(&room).cloned()
    }

    /// The room that the server calls so.
    pub(crate) fn room(&self, name: &str) -> Option<u64> {
        self.rooms.borrow().get(name).copied()
    }

    /// Makes a room unless somebody did: whoever comes first makes it, the others wait, and the next of them makes it
    /// where the first one failed or went away. Whether it was the caller who made it.
    ///
    /// # Errors
    /// When the caller could not make it.
    pub(crate) async fn make_once(
        &self,
        room: u64,
        make: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<bool> {
        let made = Rc::clone(self.made.borrow_mut().entry(room).or_default());
        let mut mine = false;
        made.get_or_try_init(|| {
            mine = true;
            make
        })
        .await?;
        Ok(mine)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join3;

    use super::*;

    #[tokio::test]
    async fn a_room_is_made_once_by_the_first_who_can() {
        let names = Names::default();
        let make = async |name: Option<&str>| {
            tokio::task::yield_now().await;
            names.give(7, name.ok_or_else(|| anyhow::anyhow!("no room"))?.to_owned());
            Ok(())
        };
        let (failed, first, second) = join3(
            names.make_once(7, make(None)),
            names.make_once(7, make(Some("grp1"))),
            names.make_once(7, make(Some("grp2"))),
        )
        .await;
        assert!(failed.is_err());
        assert_eq!((first.unwrap(), second.unwrap()), (true, false));
        assert_eq!((names.of(7).as_deref(), names.room("grp1"), names.room("grp2")), (Some("grp1"), Some(7), None));
    }
}
