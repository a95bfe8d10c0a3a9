//! The person behind a peer: a user who logged in, and whose name is being looked up.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};

/// How long a change waits for the name: a user database that does not answer must not stop root.
const PATIENCE: Duration = Duration::from_secs(1);

/// The name of a user, once the lookup has it.
pub(super) type Name = watch::Receiver<Option<Arc<str>>>;

/// A user who logged in, and may act as another one.
#[derive(Clone, Debug)]
pub(super) struct Person {
    uid: u32,
    /// `None` if the lookup could not start.
    name: Option<Name>,
}

impl Person {
    pub(super) const fn new(uid: u32, name: Option<Name>) -> Self {
        Self { uid, name }
    }

    /// Returns the name; `uid 1000` if the database has none, or does not answer in time.
    pub(super) async fn name(&self) -> Arc<str> {
        let unnamed = || format!("uid {}", self.uid).into();
        let Some(mut name) = self.name.clone() else {
            return unnamed();
        };
        match timeout(PATIENCE, name.wait_for(Option::is_some)).await {
            Ok(Ok(name)) => (name.clone())
                .filter(|name| !name.is_empty())
                .unwrap_or_else(unnamed),
            Ok(Err(_)) | Err(_) => unnamed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_person_without_a_name_is_the_uid() {
        let (say, said) = watch::channel(None);
        drop(say);
        assert_eq!(&*Person::new(1000, Some(said)).name().await, "uid 1000");
        let (say, said) = watch::channel(None);
        let person = Person::new(1000, Some(said));
        say.send_replace(Some("".into()));
        assert_eq!(&*person.name().await, "uid 1000");
        say.send_replace(Some("ada".into()));
        assert_eq!(&*person.name().await, "ada");
        drop(say);
        assert_eq!(&*person.name().await, "ada");
        assert_eq!(&*Person::new(7, None).name().await, "uid 7");
    }
}
