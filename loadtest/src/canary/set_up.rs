use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bobchat_proto::codec::Format;
use tokio::task::spawn_blocking;

use super::Options;
use super::exchange::is_stranger;
use super::metrics::CanaryMetrics;
use super::person::Person;
use super::watch::Watch;
use crate::client::{Credentials, Place, Refusal, Target, prepare_places, read_tokens, sign_in_guests};

/// Makes the canary's users and rooms over REST.
///
/// Keeps guests from one try to the next: a server lets in so many a minute, and keeps each for ever.
#[derive(Debug, Default)]
pub(super) struct SetUp {
    guests: Vec<Credentials>,
}

impl SetUp {
    /// Two people for each pair of targets, in a room of their own.
    ///
    /// # Errors
    /// When no target lets it; [`retry_after`] says when it may be tried again.
    pub(super) async fn people(
        &mut self,
        options: &Options,
        metrics: &Rc<CanaryMetrics>,
    ) -> anyhow::Result<Vec<Person>> {
        let pairs = pairs(options.targets.len());
        let users = self.users(options, 2 * pairs.len()).await?;
        let places = self.places(&options.targets, users, pairs.len()).await?;
        let mut people = Vec::with_capacity(places.len());
        for (number, pair) in pairs.iter().enumerate() {
            let targets: Vec<&Target> = pair.iter().filter_map(|node| options.targets.get(*node)).collect();
            let room = places.get(number).context("a room for each pair")?.room;
            let names = targets.iter().map(|target| target.authority.clone()).collect();
            let watch = Rc::new(RefCell::new(Watch::new(room, names, metrics.clone())?));
            for (who, target) in targets.into_iter().enumerate() {
                let place = places.get(number + who * pairs.len()).context("two people for each pair")?;
                let target = target.clone().in_format(Format::Protobuf);
                people.push(Person::new(watch.clone(), who, people.len(), target, place.credentials.clone()));
            }
        }
        Ok(people)
    }

    /// The next people are others: somebody is not known any more.
    pub(super) fn forget(&mut self) {
        self.guests.clear();
    }

    async fn users(&mut self, options: &Options, count: usize) -> anyhow::Result<Vec<Credentials>> {
        if let Some(file) = &options.tokens {
            let mut users = read_tokens(file)?;
            ensure!(users.len() >= count, "{count} users are needed, the file has {}", users.len());
            users.truncate(count);
            return Ok(users);
        }
        // Each node counts guests by itself: where one lets in no more, the next may.
        let mut outcome = Ok(());
        for target in &options.targets {
            outcome = self.sign_up(target, count).await;
            if outcome.is_ok() {
                break;
            }
        }
        outcome.map(|()| self.guests.clone())
    }

    /// Signs up who is missing, one after the other: those who came are kept where the next one is refused.
    async fn sign_up(&mut self, target: &Target, count: usize) -> anyhow::Result<()> {
        while self.guests.len() < count {
            self.guests.extend(at(target, |target| sign_in_guests(target, 1)).await?);
        }
        Ok(())
    }

    async fn places(
        &mut self,
        targets: &[Target],
        users: Vec<Credentials>,
        pairs: usize,
    ) -> anyhow::Result<Vec<Place>> {
        let mut outcome = Err(anyhow::anyhow!("no target"));
        for target in targets {
            let users = users.clone();
            outcome = at(target, move |target| prepare_places(target, &users, pairs)).await;
            match &outcome {
                Ok(_) => break,
                Err(error) if is_stranger_to(error) => self.forget(),
                Err(_) => {}
            }
        }
        outcome
    }
}

/// Makes requests to a target, which block.
async fn at<T: Send + 'static>(
    target: &Target,
    work: impl FnOnce(&Target) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let target = target.clone();
    spawn_blocking(move || work(&target)).await.context("setting up panicked")?
}

/// Whether a request was refused because the server does not know the user.
pub(super) fn is_stranger_to(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refusal>().is_some_and(|refusal| is_stranger(&refusal.error))
}

/// How long the server asks to wait, where it does.
pub(super) fn retry_after(error: &anyhow::Error) -> Duration {
    let asked = error.downcast_ref::<Refusal>().and_then(|refusal| refusal.error.retry_after_ms);
    Duration::from_millis(asked.unwrap_or_default())
}

/// Every two of `nodes`; one alone is a pair with itself.
pub(super) fn pairs(nodes: usize) -> Vec<[usize; 2]> {
    if nodes == 1 {
        return vec![[0, 0]];
    }
    (0..nodes).flat_map(|one| (one + 1..nodes).map(move |two| [one, two])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_two_nodes_have_a_room() {
        assert_eq!(pairs(1), [[0, 0]]);
        assert_eq!(pairs(3), [[0, 1], [0, 2], [1, 2]]);
        assert_eq!(pairs(super::super::TARGETS_MAX).len(), 28);
    }
}
